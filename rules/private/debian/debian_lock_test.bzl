"""Tests of debian_lock.bzl and debian_mirror.bzl."""

load("@bazel_skylib//lib:unittest.bzl", "asserts", "unittest")
load(":debian_lock.bzl", "debian_lock")
load(":debian_mirror.bzl", "debian_mirror")

_SHA = "0123456789abcdef" * 4
_GOOD = "zlib1g 1:1.2.13 sha256:%s pool/main/z/zlib/zlib1g_1.2.13_arm64.deb" % _SHA

_ERRORS = {
    "": "the lock holds no package",
    "zlib1g 1.2.13": "expected `name version sha256:HEX pool/path.deb`",
    "zlib1g 1 md5:00 pool/z.deb": "md5:00 is not a digest",
    "zlib1g 1 sha256:00 pool/z.deb": "sha256:00 is not a digest",
    "zlib1g 1 sha256:%s http/z.deb" % _SHA: "is not a path of the form pool/….deb",
    "zlib1g 1 sha256:%s pool/../../z.deb" % _SHA: "is not a path of the form pool/….deb",
    "# comment\n%s\n%s" % (_GOOD, _GOOD): "zlib1g is listed twice, before in line 2",
}

def _lock_test_impl(ctx):
    env = unittest.begin(ctx)
    for content, wanted in _ERRORS.items():
        found = debian_lock.parse(content, "lock")
        asserts.true(env, type(found) == "string" and wanted in found, "%r gave %s" % (content, found))
    packages = debian_lock.parse("# comment\n\n" + _GOOD + "\n", "lock")
    asserts.equals(env, 1, len(packages))
    asserts.equals(env, struct(
        line = 3,
        name = "zlib1g",
        path = "pool/main/z/zlib/zlib1g_1.2.13_arm64.deb",
        sha256 = _SHA,
        version = "1:1.2.13",
    ), packages[0])
    return unittest.end(env)

_lock_test = unittest.make(_lock_test_impl)

# sources.list.d/*.sources to the mirror in it.
_DEB822 = {
    "Types: deb\nURIs: http://mirror.test/debian http://other.test/debian\nSuites: bookworm bookworm-updates\nComponents: main\n": "http://mirror.test/debian",
    "Types: deb\nURIs: http://mirror.test/debian-security\nSuites: bookworm-security\nComponents: main\n": None,
    "Types: deb-src\nURIs: http://mirror.test/debian\nSuites: bookworm\nComponents: main\n": None,
    "Enabled: no\nTypes: deb\nURIs: http://mirror.test/debian\nSuites: bookworm\nComponents: main\n": None,
    "# a comment\nTypes: deb\nURIs: http://a.test/x\nSuites: jammy\nComponents: main\n\nTypes: deb\nURIs: https://b.test/debian/\nSuites: trixie\nComponents: main contrib": "https://b.test/debian/",
    "": None,
}

# sources.list to the mirror in it.
_ONE_LINE = {
    "# deb http://no.test/debian bookworm main\ndeb http://mirror.test/debian bookworm main": "http://mirror.test/debian",
    "deb [arch=amd64 signed-by=/k.gpg] http://mirror.test/debian  sid main contrib\n": "http://mirror.test/debian",
    "deb http://mirror.test/ubuntu jammy main": None,
    "deb-src http://mirror.test/debian bookworm main": None,
    "deb [broken http://mirror.test/debian bookworm main": None,
}

# A mirror, a path, what is named for security updates, and the archive that has the path.
_HOLDING = [
    ("http://a.test/debian", "pool/main/z/z.deb", None, "http://a.test/debian"),
    ("http://a.test/debian", "pool/updates/main/z/z.deb", None, "http://a.test/debian-security"),
    ("http://a.test/debian", "pool/updates/main/z/z.deb", "http://b.test/sec/", "http://b.test/sec"),
    ("http://a.test/copy", "pool/updates/main/z/z.deb", None, None),
    ("http://a.test/copy", "pool/main/z/z.deb", "http://b.test/sec", "http://a.test/copy"),
]

def _mirror_test_impl(ctx):
    env = unittest.begin(ctx)
    for content, wanted in _DEB822.items():
        asserts.equals(env, wanted, debian_mirror.from_deb822_style(content), content)
    for content, wanted in _ONE_LINE.items():
        asserts.equals(env, wanted, debian_mirror.from_one_line_style(content), content)
    for mirror, path, security, wanted in _HOLDING:
        asserts.equals(env, wanted, debian_mirror.holding(mirror, path, security), path)
    return unittest.end(env)

_mirror_test = unittest.make(_mirror_test_impl)

def debian_lock_tests(name):
    unittest.suite(name, _lock_test, _mirror_test)
