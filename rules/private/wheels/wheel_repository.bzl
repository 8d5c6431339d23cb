"""The repositories of a wheel lock: a wheel as it is, and its closure of dependencies. The hub is in wheel_hub.bzl."""

load("//rules/private/locks:lock_target.bzl", "LOCK_VARIANTS", "lock_target")
load("//rules/private/locks:wheel_name.bzl", "wheel_name")
load("//rules/private/tools:host_machine.bzl", "host_pip", "host_python", "linux_architecture")
load("//rules/private/tools:repository_process.bzl", "make_modes_plain", "run_fetching")
load(":wheel_closure.bzl", "wheel_closure")
load(":wheel_download.bzl", "download_wheel")
load(":wheel_metadata.bzl", "wheel_metadata")

# Variables that can hold pip's configuration.
# A change of these fetches again. Addresses are not among them: Bazel writes down what it goes by, and they may hold a
# password; whatever index a file comes from, its hash is the lock's.
_PIP_ENVIRON = ["PIP_CONFIG_FILE", "PIP_NO_INDEX"]

# The largest value of an integer attribute.
_MAX_INT = (1 << 31) - 1

# What a hub is told of building wheels from source; for the extension's tag class and its WORKSPACE twin.
CROSS_BUILD_ATTRS = {
    "build_hub": attr.string(
        default = "chassis_build",
        doc = "The hub that has what sdists are built with: backends, Cython, headers.",
    ),
    "build_requires": attr.string_list_dict(
        doc = "What the build of a distribution needs beyond its pyproject.toml, from the build hub: `{\"annoy\": [\"nose\"]}`.",
    ),
    "cross_build": attr.string_list(
        doc = "The distributions that may be built from their sdist, for the target, if the lock or the index has no wheel of them.",
    ),
}

def file_repository_name(hub, platform, distribution):
    """The apparent name of the repository that holds a wheel."""
    return "__".join([hub, platform, distribution.replace("-", "_"), "whl"])

def closure_repository_name(hub, platform, distribution):
    """The apparent name of the repository that holds a wheel together with what it depends on."""
    return "__".join([hub, platform, distribution.replace("-", "_")])

def _fetch(rctx, tool, more):
    """Runs a tool that fetches the locked file; returns its result."""
    attr = rctx.attr
    target = lock_target(attr.platform)
    arguments = [
        host_python(rctx),
        rctx.path(tool),
        "--requirement",
        "%s==%s" % (attr.distribution, attr.version),
        "--markers",
        json.encode(target.markers),
        "--output",
        rctx.path("."),
    ] + more
    for sha256 in attr.hashes:
        arguments += ["--hash", sha256]
    if attr.index_url:
        arguments += ["--index-url", attr.index_url]
    rctx.report_progress("fetching %s==%s" % (attr.distribution, attr.version))
    return run_fetching(rctx, arguments, {"PYTHONPATH": str(host_pip(rctx))})

def _other_bytes(platform, locked, is_sdist):
    """Other bytes than the lock's hashes: no command that locks what is there goes with it, for that is not to be trusted."""
    if is_sdist:
        return ("the index's sdist differs from the lock's hashes. Do not trust it: compare its hash with what its publisher names, " +
                "and lock it anew only if that is the same")
    target = LOCK_VARIANTS[platform]
    return ("the index's file for CPython %s on %s differs from the lock's hashes. It may have been replaced: do not trust it. " +
            "Or the lock is of another Python or CPU%s: %sgive its platform a lock of its own, once the file's hash is what its publisher names") % (
        target.python,
        target.machine,
        "; of the lock's files the index has %s" % ", ".join(locked) if locked else "",
        wheel_name.other_python(locked, lock_target(platform)),
    )

def _reasons(rctx, locked, is_sdist):
    """What the exit status of a tool means; `locked` are the names of files of the lock that an index has."""
    attr = rctx.attr
    target = LOCK_VARIANTS[attr.platform]
    renew = "Renew the lock: " + attr.renew
    others = ""
    if locked:
        remedy = wheel_name.other_python(locked, lock_target(attr.platform))
        others = "; the ones it has are %s: %slock for this platform" % (", ".join(locked), remedy)
    no_wheel = ("the index has no wheel of it for this platform (CPython %s, glibc %s, %s) that the lock's hashes allow%s. %s. " +
                "If the index has only its sources, lock the sdist and name it in `cross_build` of the hub, " +
                "and the wheel is built from them") % (
        target.python,
        target.glibc,
        target.machine,
        others,
        renew,
    )
    return {
        3: "pip could not reach its index. It is configured with `pip config`, PIP_INDEX_URL or a proxy of the machine's.",
        4: no_wheel,
        5: _other_bytes(attr.platform, locked, is_sdist),
        6: "the file is broken.",
        7: "the disk of Bazel's output base is full. Make room, or move it with `--output_user_root` or `--output_base`.",
    }

def _file_impl(rctx):
    """One wheel, or the sdist to build it from, fetched by pip, and its metadata."""
    attr = rctx.attr
    what = "wheel %s==%s for %s (%s)" % (attr.distribution, attr.version, attr.platform, attr.where)
    if attr.sdist and not attr.cross_build:
        fail(("%s: the lock holds its sdist, %s, and no wheel. Name it in the hub, cross_build = [%r], to have the wheel " +
              "built from it for the target; or lock a version that has a wheel") % (what, attr.sdist, attr.distribution))
    is_sdist = bool(attr.sdist)
    locked = []
    if not is_sdist:
        found = download_wheel(rctx, host_pip(rctx))
        wheel, locked = found.filename, found.locked
        if not linux_architecture(rctx):
            return _without_python(rctx, wheel, what)
        have = ["--have", rctx.path(wheel)] if wheel else []
        platforms = ["--platform=" + tag for tag in lock_target(attr.platform).platform_tags]
        result = _fetch(rctx, attr._fetch_wheel, platforms + have)
        is_sdist = result.return_code == 4 and attr.cross_build
    if is_sdist:
        locked = []
        result = _fetch(rctx, attr._fetch_sdist, [])
    if result.return_code:
        reason = _reasons(rctx, locked, is_sdist).get(result.return_code, "it could not be fetched.")
        fail("%s: %s\n%s" % (what, reason, result.stderr.strip()))
    return _write_build(rctx, is_sdist, what)

def _without_python(rctx, wheel, what):
    """The same on a machine that runs none of our programs: what Bazel's downloader could not have is not fetched by pip there."""
    if not wheel:
        fail(("%s: Bazel's downloader could not have it, and pip, which fetches it then, is run on Linux on x86_64 and aarch64 alone; " +
              "this machine is %s %s") % (what, rctx.os.name, rctx.os.arch))
    problem = wheel_metadata.read(rctx, wheel, lock_target(rctx.attr.platform).environment)
    if problem:
        fail("%s: %s" % (what, problem))
    _write_build(rctx, False, what)

def _write_build(rctx, is_sdist, what):
    attr = rctx.attr
    metadata = json.decode(rctx.read("metadata.json"))
    if metadata["name"] != attr.distribution:
        fail("%s: its metadata names another distribution, %s" % (what, metadata["name"]))
    rctx.file("BUILD.bazel", (_BUILD_FROM_SDIST if is_sdist else _BUILD).format(
        build_deps = json.encode(_build_deps(rctx, metadata) if is_sdist else []),
        distribution = json.encode(attr.distribution),
        file = json.encode(metadata["file"]),
        lock = json.encode(attr.where),
        size = 0 if is_sdist else min(metadata["size"], _MAX_INT),
        version = json.encode(attr.version),
        without = json.encode(attr.without),
    ))
    make_modes_plain(rctx)

_BUILD = """\
load("@chassis//rules/private/wheels:wheel.bzl", "wheel")

package(default_visibility = ["//visibility:public"])

# For the tool that unpacks wheels: it can need none unpacked.
filegroup(
    name = "file",
    srcs = [{file}],
)

wheel(
    name = "wheel",
    src = ":file",
    distribution = {distribution},
    lock = {lock},
    size = {size},
    version = {version},
    without = {without},
)
"""

_BUILD_FROM_SDIST = """\
load("@chassis//rules/private/wheels:chassis_wheel.bzl", "wheel_from_source")

package(default_visibility = ["//visibility:public"])

filegroup(
    name = "file",
    srcs = [{file}],
)

wheel_from_source(
    name = "wheel",
    build_deps = {build_deps},
    distribution = {distribution},
    lock = {lock},
    sdist = ":file",
    version = {version},
    without = {without},
)
"""

def _build_deps(rctx, metadata):
    """Labels of what the sdist is built with, as far as the build hub has it: the build says what is missing."""
    hub = rctx.attr.build_hub
    canonical = hub if hub.startswith("@@") else "@@" + rctx.name.removesuffix(rctx.attr.own_name) + hub
    names = json.decode(rctx.read(Label(canonical + "//:distributions.json")))
    wanted = metadata["build_requires"] + rctx.attr.build_requires
    return ["%s//%s" % (canonical, name) for name in sorted({name: None for name in wanted}) if name in names]

wheel_file_repository = repository_rule(
    implementation = _file_impl,
    attrs = {
        "build_hub": attr.string(),
        "build_requires": attr.string_list(),
        "cross_build": attr.bool(),
        "distribution": attr.string(mandatory = True),
        "fetch_from": attr.string(default = "index"),
        "hashes": attr.string_list(mandatory = True),
        "index_url": attr.string(doc = "The index to ask in place of those that pip is configured with."),
        "own_name": attr.string(mandatory = True),
        "platform": attr.string(mandatory = True, values = LOCK_VARIANTS.keys()),
        "renew": attr.string(mandatory = True, doc = "The command that renews the lock."),
        "sdist": attr.string(),
        "url": attr.string(doc = "Where Bazel's downloader finds the wheel; pip serves if it does not."),
        "version": attr.string(mandatory = True),
        "wheel": attr.string(doc = "The wheel's file name, with `url`."),
        "where": attr.string(mandatory = True, doc = "Lock and line."),
        "without": attr.string_list(doc = "Distributions that it requires and goes without."),
        "_fetch_sdist": attr.label(default = "//chassis/fetching:fetch_sdist.py"),
        "_fetch_wheel": attr.label(default = "//chassis/fetching:fetch_wheel.py"),
    },
    environ = _PIP_ENVIRON,
    doc = "One locked wheel, as a file or as the sdist that it is built from, and its metadata.",
)

def _sibling(rctx, name):
    """The canonical label of `metadata.json` in a repository made beside this one."""
    return Label("@@%s//:metadata.json" % (rctx.name.removesuffix(rctx.attr.own_name) + name))

def _closure_impl(rctx):
    attr = rctx.attr
    file = lambda name: attr.files.get(name, file_repository_name(attr.hub, attr.platform, name))
    closure = attr.wheels or wheel_closure(
        attr.distribution,
        lambda name: json.decode(rctx.read(_sibling(rctx, file(name)))),
        attr.locked,
        attr.extras,
        attr.problems,
        attr.without,
    )
    if type(closure) == "string":
        fail("%s\n  on %s, in %s\n  renew the lock: %s" % (closure, attr.platform, attr.lock, attr.renew))
    wheels = [
        "        %r,\n" % ("@%s//:wheel" % file(name))
        for name in closure
    ]
    rctx.file("BUILD.bazel", """\
load("@chassis//rules/private/wheels:distribution.bzl", "distribution")

package(default_visibility = ["//visibility:public"])

distribution(
    name = "distribution",
    wheels = [
%s    ],
)
""" % "".join(wheels))

wheel_closure_repository = repository_rule(
    implementation = _closure_impl,
    attrs = {
        "distribution": attr.string(mandatory = True),
        "extras": attr.string_list_dict(doc = "Name to the extras that the lock asks of it."),
        "files": attr.string_dict(doc = "Name to the repository of its wheel, if another set of requirements has the same one."),
        "hub": attr.string(mandatory = True),
        "lock": attr.string(mandatory = True),
        "locked": attr.string_list(doc = "Every distribution of the lock."),
        "own_name": attr.string(mandatory = True, doc = "The repository's apparent name."),
        "platform": attr.string(mandatory = True),
        "problems": attr.string_dict(doc = "Name to why the lock's pin of it cannot be used."),
        "renew": attr.string(mandatory = True, doc = "The command that renews the lock."),
        "without": attr.string_list_dict(doc = "Name to what it depends on and goes without."),
        "wheels": attr.string_list(doc = "The closure, if the lock says it; by default the wheels' metadata does."),
    },
    doc = "A distribution with all that its metadata says it depends on, on one platform.",
)
