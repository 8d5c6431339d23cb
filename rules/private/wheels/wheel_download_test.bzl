"""Tests of what Bazel's downloader is told: indexes of pip's configuration, and files of an index's page."""

load("@bazel_skylib//lib:unittest.bzl", "asserts", "unittest")
load("//rules/private/locks:simple_page.bzl", "simple_page")
load(":pip_configuration.bzl", "pip_configuration")

_CONF = """\
# pip.conf
[global]
index-url = https://one.example/simple
extra_index_url =
    https://two.example/simple
    file:///opt/wheels
; another comment
[install]
index-url = https://wrong.example/simple
[download]
timeout: 60
"""

# Options, and the hub's own index, to indexes with login and password.
_INDEXES = [
    ({}, "", []),
    ({"index-url": pip_configuration.default_index('PyPI = PackageIndex("https://own.example/", x)')}, "", ["https://own.example/simple"]),
    ({"index-url": pip_configuration.default_index("another pip")}, "", []),
    (pip_configuration.read_file(_CONF), "", ["https://one.example/simple", "https://two.example/simple"]),
    ({"index-url": "https://me:p%40ss@one.example/simple/"}, "", ["https://one.example/simple me p@ss"]),
    ({"index-url": "https://one.example/simple"}, "https://own.example/simple", ["https://own.example/simple"]),
    ({"index-url": "http://plain.example/simple"}, "", []),
    ({"index-url": "file:///opt/simple"}, "", []),
    ({"no-index": "true"}, "", []),
    ({"no-index": "true"}, "https://own.example/simple", ["https://own.example/simple"]),
    ({"proxy": "proxy.example:3128"}, "", []),
    ({"client-cert": "/etc/me.pem"}, "https://own.example/simple", []),
]

def _indexes_impl(ctx):
    env = unittest.begin(ctx)
    for options, own, expected in _INDEXES:
        found = [
            index.url + (" %s %s" % (index.user.login, index.user.password) if index.user else "")
            for index in pip_configuration.indexes(options, own)
        ]
        asserts.equals(env, expected, found, str(options))
    return unittest.end(env)

_indexes_test = unittest.make(_indexes_impl)

_JSON = """{"meta": {"api-version": "1.1"}, "files": [
    {"filename": "a-1-py3-none-any.whl", "url": "https://files.example/a-1-py3-none-any.whl", "hashes": {"sha256": "12"}},
    {"filename": "a-1.tar.gz", "url": "a-1.tar.gz", "hashes": {"md5": "34"}}
]}"""

_HTML = """<!DOCTYPE html><html><body><abbr title="x">x</abbr>
<a href="../../files/a-1+cpu-py3-none-any.whl#sha256=12" data-requires-python="&gt;=3.8">a-1+cpu-py3-none-any.whl</a><br/>
<a
  class='b' href='/b%2B1.whl?x=1&amp;y=2#sha256=56'>b&#43;1.whl</a>
<a href="no-hash.whl">no-hash.whl</a>
</body></html>"""

_PAGES = {
    _HTML: [
        ("a-1+cpu-py3-none-any.whl", "https://index.example/files/a-1+cpu-py3-none-any.whl", "12"),
        ("b+1.whl", "https://index.example/b%2B1.whl?x=1&y=2", "56"),
    ],
    _JSON: [("a-1-py3-none-any.whl", "https://files.example/a-1-py3-none-any.whl", "12")],
    "{\"detail\": \"not found\"}": None,
    "{broken": None,
    "plain text": None,
}

def _pages_impl(ctx):
    env = unittest.begin(ctx)
    for text, expected in _PAGES.items():
        files = simple_page.read(text)
        found = None
        if files != None:
            found = [(file.filename, simple_page.join("https://index.example/simple/a/", file.url), file.sha256) for file in files]
        asserts.equals(env, expected, found, text)
    return unittest.end(env)

_pages_test = unittest.make(_pages_impl)

def wheel_download_tests(name):
    """The tests, as one target.

    Args:
      name: the suite's name.
    """
    unittest.suite(name, _indexes_test, _pages_test)
