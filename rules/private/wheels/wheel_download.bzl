"""A locked wheel through Bazel's downloader: its repository cache, `--distdir`, no program started."""

load("@bazel_tools//tools/build_defs/repo:utils.bzl", "read_user_netrc", "use_netrc")
load("//rules/private/locks:lock_target.bzl", "lock_target")
load("//rules/private/locks:simple_page.bzl", "simple_page")
load("//rules/private/locks:wheel_name.bzl", "wheel_name")
load(":pip_configuration.bzl", "pip_configuration")

_ACCEPT = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"

def _host(url):
    return url.partition("://")[2].partition("/")[0]

def _auth(rctx, url, index = None):
    """Credentials for an address: the index's own for what it has on its own host, else netrc's."""
    if index and index.user and _host(index.url) == _host(url):
        return {url: {"login": index.user.login, "password": index.user.password, "type": "basic"}}
    return use_netrc(read_user_netrc(rctx), [url], {})

def _download(rctx, url, sha256, filename, index = None):
    rctx.report_progress("downloading %s" % filename)
    return rctx.download(
        url,
        allow_fail = True,
        auth = _auth(rctx, url, index),
        output = filename,
        sha256 = sha256,
    ).success

def _on_page(rctx, index, seen):
    """The locked file that an index has for the target: struct(filename, url, sha256), or None.

    `seen` gets the names of the locked files if all are for other targets.
    """
    attr = rctx.attr
    page = "%s/%s/" % (index.url, attr.distribution)
    done = rctx.download(
        page,
        allow_fail = True,
        auth = _auth(rctx, page, index),
        headers = {"Accept": _ACCEPT},
        output = "page",
    )
    if not done.success:
        return None
    files = simple_page.read(rctx.read("page")) or []
    rctx.delete("page")
    locked = [file for file in files if file.sha256 in attr.hashes and file.filename.endswith(".whl")]
    best = wheel_name.best(locked, lock_target(attr.platform))
    if not best:
        seen.update({file.filename: None for file in locked})
        return None
    if "/" in best.filename:
        return None
    return struct(filename = best.filename, url = simple_page.join(page, best.url), sha256 = best.sha256)

def download_wheel(rctx, pip):
    """Downloads the wheel of a `wheel_file_repository` from the address in its lock, or from an index's page, by its hash.

    Args:
      rctx: the repository's context.
      pip: path, the directory that has pip's package.

    Returns:
      A struct: filename, the wheel's, or None if pip has to fetch it; locked, the names of the lock's files that an index has,
      for other targets.
    """
    seen = {}
    filename = None if rctx.attr.fetch_from == "pip" else _downloaded(rctx, pip, seen)
    return struct(filename = filename, locked = sorted(seen))

def _downloaded(rctx, pip, seen):
    attr = rctx.attr
    if attr.fetch_from == "lock" and attr.url and _download(rctx, attr.url, attr.hashes[0], attr.wheel):
        return attr.wheel
    for index in pip_configuration.indexes(pip_configuration.read(rctx, pip), attr.index_url):
        file = _on_page(rctx, index, seen)
        if file and _download(rctx, file.url, file.sha256, file.filename, index):
            return file.filename
    if attr.fetch_from == "index" and attr.url and attr.wheel and _download(rctx, attr.url, attr.hashes[0], attr.wheel):
        # The cache and --distdir have it though no index answers, or the lock's own address does.
        return attr.wheel
    return None
