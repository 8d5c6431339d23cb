"""Tests of wheel_lock.bzl."""

load("@bazel_skylib//lib:unittest.bzl", "asserts", "unittest")
load(":wheel_lock.bzl", "wheel_lock")

_HASH = "0123456789abcdef" * 4
_PIN = "numpy==2.3.1 --hash=sha256:" + _HASH

# Lock text to what its error holds. Every error also names file and line.
_ERRORS = {
    "numpy --hash=sha256:" + _HASH: "expected a pinned `name==version`, found: numpy",
    "numpy==2.* --hash=sha256:" + _HASH: "expected a pinned `name==version`",
    "numpy==2.3.1": "numpy==2.3.1 has no --hash",
    "numpy==2.3.1 --hash=md5:abc": "md5:abc is no hash",
    "numpy==2.3.1 --hash=sha256:abc": "sha256:abc is no hash",
    "numpy==2.3.1 --hash=sha256:" + "x" * 64: "is no hash",
    "--index-url x\n": "indexes come from pip's own configuration",
    "--hash=sha256:" + _HASH: "is the backslash before it missing",
    _PIN + "\n" + _PIN: "numpy stands there a second time, after line 1",
    "# numpy-2.3.1-cp311-cp311-manylinux_2_28_x86_64.whl\n" + _PIN: "is built for manylinux_2_28_x86_64, but linux_arm64 needs aarch64 or any",
    "# numpy-2.3.1-cp311-cp311-win_arm64.whl\n" + _PIN: "is built for win_arm64",
    "# scipy-2.3.1-py3-none-any.whl\n" + _PIN: "a wheel of another distribution",
    "# numpy-2.3.2-py3-none-any.whl\n" + _PIN: "a wheel of another version than 2.3.1",
    "# numpy.whl\n" + _PIN: "is no wheel's file name",
    "# scipy-2.3.1.tar.gz\n" + _PIN: "an sdist of another distribution or version",
    "# numpy-2.3.0.tar.gz\n" + _PIN: "an sdist of another distribution or version",
}

def _errors_test_impl(ctx):
    env = unittest.begin(ctx)
    for content, wanted in _ERRORS.items():
        found = wheel_lock.parse(content, "lock.txt", "linux_arm64")
        asserts.equals(env, "string", type(found), content)
        asserts.true(env, wanted in str(found), "%r\n  gave %s\n  expected %s" % (content, found, wanted))
        asserts.true(env, str(found).startswith("lock.txt, line "), "%s names no line" % found)
    return unittest.end(env)

_errors_test = unittest.make(_errors_test_impl)

def _parse_test_impl(ctx):
    env = unittest.begin(ctx)
    found = wheel_lock.parse("""\
# made by a tool
# scikit_learn-1.7.0-cp311-cp311-manylinux_2_17_aarch64.manylinux2014_aarch64.whl
Scikit_Learn==1.7.0 \\
    --hash=sha256:{hash}
    # via -r x.in
cupy-cuda13x[all]==13.5.1 ; python_version >= "3.9" \\
    --hash=sha256:{hash} \\
    --hash=sha256:{other}
""".format(hash = _HASH, other = _HASH[::-1]), "lock.txt", "linux_arm64_gpu")
    asserts.equals(env, ["scikit-learn", "cupy-cuda13x"], list(found))
    asserts.equals(env, 3, found["scikit-learn"].line)
    asserts.equals(env, "1.7.0", found["scikit-learn"].version)
    asserts.true(env, found["scikit-learn"].wheel.endswith("manylinux2014_aarch64.whl"))
    asserts.equals(env, [_HASH, _HASH[::-1]], found["cupy-cuda13x"].hashes)
    asserts.equals(env, None, found["cupy-cuda13x"].wheel)
    sdist = wheel_lock.parse("# zope_interface-1.0.tar.gz\nzope.interface==1.0 --hash=sha256:" + _HASH, "lock.txt", "linux_arm64")
    asserts.equals(env, "zope_interface-1.0.tar.gz", sdist["zope-interface"].sdist)
    asserts.equals(env, None, sdist["zope-interface"].wheel)
    return unittest.end(env)

_parse_test = unittest.make(_parse_test_impl)

def _normalize_test_impl(ctx):
    env = unittest.begin(ctx)
    for name, wanted in {"A.B_c--D": "a-b-c-d", "numpy": "numpy", "zope.interface": "zope-interface"}.items():
        asserts.equals(env, wanted, wheel_lock.normalize(name))
    return unittest.end(env)

_normalize_test = unittest.make(_normalize_test_impl)

def wheel_lock_tests(name):
    unittest.suite(name, _errors_test, _parse_test, _normalize_test)
