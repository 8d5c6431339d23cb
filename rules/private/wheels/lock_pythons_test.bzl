"""Tests of the Pythons that a lock is for."""

load("@bazel_skylib//lib:unittest.bzl", "asserts", "unittest")
load("//rules/private/declaration:declared.bzl", "PYTHONS")
load("//rules/private/locks:lock_target.bzl", "lock_variant")
load(":lock_pythons.bzl", "lock_pythons")

_BROUGHT = [version for version, (_, _, suite) in PYTHONS.items() if suite]

# The Python of a lock's first line, what `locks` says of it and `pythons`: the Pythons of linux_amd64 that it is for, and of
# which of them it is an error.
_CASES = {
    ("", "linux_amd64", ()): (_BROUGHT, []),
    ("", "linux_amd64", ("3.11", "3.13")): (["3.11", "3.13"], []),
    ("", "linux_amd64_py311", ()): (["3.11"], []),
    ("3.11", "linux_amd64", ()): (["3.11"], []),
    # Wheels of no version, or of the stable ABI.
    ("3.11", "linux_amd64", ("3.11", "3.13")): (["3.11", "3.13"], []),
    ("3.11", "linux_amd64_py311", ()): (["3.11"], []),
    ("3.11", "linux_amd64_py314", ()): (["3.14"], ["3.14"]),
    ("3.11", "linux_amd64_py314", ("3.11", "3.14")): (["3.14"], []),
}

def _pythons_impl(ctx):
    env = unittest.begin(ctx)
    for (header, platform, pythons), (expected, refused) in _CASES.items():
        read = struct(file = "//:lock.txt", python = header)
        found = lock_pythons.variants([platform], list(pythons), read, {})
        asserts.equals(env, [lock_variant("linux_amd64", python) for python in expected], found, header + platform)
        problems = {variant: lock_pythons.of_another(read, variant, list(pythons), {platform: None}) for variant in found}
        named = [variant for variant, problem in problems.items() if problem]
        asserts.equals(env, [lock_variant("linux_amd64", python) for python in refused], named, header + platform)
    return unittest.end(env)

_pythons_test = unittest.make(_pythons_impl)

def _remedies_impl(ctx):
    env = unittest.begin(ctx)
    read = struct(file = "//:lock.txt", python = "3.11")
    named = lock_variant("linux_amd64", "3.14")
    said = lock_pythons.of_another(read, named, [], {named: None})
    for text in (
        "//:lock.txt was made for Python 3.11, as its first line says, and the hub takes it for Python 3.14",
        "name linux_amd64_py314 in `platforms` of the wheel_locks",
        "name it for linux_amd64_py311 in the hub's `locks` and give the image python = \"3.11\"",
        "if this one holds for 3.14 too, name 3.14 in `pythons` of the hub",
    ):
        asserts.true(env, text in said, said)
    return unittest.end(env)

_remedies_test = unittest.make(_remedies_impl)

def lock_pythons_tests(name):
    """The tests, as one target.

    Args:
      name: the suite's name.
    """
    unittest.suite(name, _pythons_test, _remedies_test)
