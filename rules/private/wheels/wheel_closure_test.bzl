"""Tests of wheel_closure.bzl."""

load("@bazel_skylib//lib:unittest.bzl", "asserts", "unittest")
load(":wheel_closure.bzl", "wheel_closure")

# Distribution to what it requires: always, and by extra.
_REQUIRES = {
    "alone": {"": []},
    "left": {"": [["right", []]]},
    "needs-missing": {"": [["nowhere", []]]},
    "right": {"": [["left", []], ["alone", []]]},
    "self": {"": [["self", []]], "all": [["self", ["some"]]], "some": [["alone", []]]},
    "uses-broken": {"": [["broken", []]]},
    "uses-extra": {"": [["with-extra", ["fast", "unknown"]]]},
    "uses-rooted": {"": [["rooted", []]]},
    "rooted": {"": [], "more": [["with-extra", ["fast"]]]},
    "with-extra": {"": [], "fast": [["alone", []]], "slow": [["needs-missing", []]]},
}

_CASES = {
    "alone": ["alone"],
    "left": ["alone", "left", "right"],
    "needs-missing": "needs-missing==1.0 needs nowhere, which the lock does not hold",
    "rooted": ["alone", "rooted", "with-extra"],
    "self": ["self"],
    "uses-broken": "uses-broken==1.0 needs broken: it is broken",
    "uses-extra": ["alone", "uses-extra", "with-extra"],
    "uses-rooted": ["alone", "rooted", "uses-rooted", "with-extra"],
    "with-extra": ["with-extra"],
}

# What the lock asks of the distributions themselves.
_EXTRAS = {"rooted": ["more", "unknown"]}

# What is left out, of whom.
_WITHOUT = [
    ("needs-missing", {"needs-missing": ["nowhere"]}, ["needs-missing"]),
    ("needs-missing", {"alone": ["nowhere"]}, "needs-missing==1.0 needs nowhere, which the lock does not hold"),
    ("left", {"right": ["alone"]}, ["left", "right"]),
    ("with-extra", {}, ["with-extra"]),
]

def _closure_test_impl(ctx):
    env = unittest.begin(ctx)
    for distribution, wanted in _CASES.items():
        found = wheel_closure(
            distribution,
            lambda name: {"requires": _REQUIRES[name], "version": "1.0"},
            _REQUIRES.keys(),
            _EXTRAS,
            {"broken": "it is broken"},
        )
        asserts.equals(env, wanted, found)
    for distribution, without, wanted in _WITHOUT:
        found = wheel_closure(
            distribution,
            lambda name: {"requires": _REQUIRES[name], "version": "1.0"},
            _REQUIRES.keys(),
            without = without,
        )
        asserts.equals(env, wanted, found)
    return unittest.end(env)

_closure_test = unittest.make(_closure_test_impl)

def wheel_closure_tests(name):
    unittest.suite(name, _closure_test)
