"""Tests of wheel_metadata.bzl."""

load("@bazel_skylib//lib:unittest.bzl", "asserts", "unittest")
load("//rules/private/locks:lock_target.bzl", "lock_target")
load(":wheel_metadata.bzl", "wheel_metadata")

# The same as of METADATA in chassis/fetching/fetch_wheel_test.py.
_METADATA = """\
Metadata-Version: 2.1
Name: Some.Pkg
Version: 1.0
Summary: A package
  in two lines
Requires-Dist: Always_There (>=1,<2)
Requires-Dist: arm-only ; platform_machine == "aarch64"
Requires-Dist: never ; python_version < "3.11" or sys_platform == "win32"
Requires-Dist: deep[b-x, A.y] ~= 1.0 ; extra == 'fast'
Requires-Dist: addressed @ https://example.org/a;b.whl ; extra == "fast"
Requires-Dist: both ; extra == "fast" or platform_machine == "x86_64"
Provides-Extra: fast

Requires-Dist: not-a-header
"""

def _describe_test_impl(ctx):
    env = unittest.begin(ctx)
    for platform, always, fast in [
        (
            "linux_arm64",
            [["always-there", []], ["arm-only", []]],
            [["deep", ["a-y", "b-x"]], ["addressed", []], ["both", []]],
        ),
        (
            "linux_amd64",
            [["always-there", []], ["both", []]],
            [["deep", ["a-y", "b-x"]], ["addressed", []]],
        ),
    ]:
        asserts.equals(
            env,
            {"file": "p.whl", "name": "some-pkg", "requires": {"": always, "fast": fast}, "version": "1.0"},
            wheel_metadata.describe(_METADATA, "p.whl", lock_target(platform).environment),
        )
    return unittest.end(env)

_BAD = {
    "Name: a\nVersion: 1\nRequires-Dist: b ; python_version <\n": "p.whl: Requires-Dist: marker python_version <",
    "Version: 1\n": "p.whl: its metadata lacks Name or Version",
}

def _bad_test_impl(ctx):
    env = unittest.begin(ctx)
    for text, wanted in _BAD.items():
        said = wheel_metadata.describe(text, "p.whl", lock_target("linux_amd64").environment)
        asserts.true(env, type(said) == "string" and said.startswith(wanted), "%r" % said)
    return unittest.end(env)

_describe_test = unittest.make(_describe_test_impl)
_bad_test = unittest.make(_bad_test_impl)

def wheel_metadata_tests(name):
    """The suite.

    Args:
      name: its name.
    """
    unittest.suite(name, _describe_test, _bad_test)
