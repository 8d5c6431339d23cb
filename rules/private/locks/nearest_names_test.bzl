"""Tests of nearest_names.bzl."""

load("@bazel_skylib//lib:unittest.bzl", "asserts", "unittest")
load(":nearest_names.bzl", "nearest_names")

_KNOWN = ["charset-normalizer", "grpcio", "grpcio-reflection", "numpy", "pandas", "scikit-learn", "scipy", "typing-extensions"]

_CASES = {
    "Numpy": ["numpy"],
    "grpcoi": ["grpcio"],
    "normalizer": ["charset-normalizer"],
    "nothing-alike": [],
    "numpyy": ["numpy"],
    "nunpy": ["numpy"],
    "scikit_lern": ["scikit-learn"],
    "scypi": ["scipy"],
    "typing_extension": ["typing-extensions"],
    "x": [],
}

def _cases_impl(ctx):
    env = unittest.begin(ctx)
    asserts.equals(env, _CASES, {name: nearest_names(name, _KNOWN) for name in _CASES})
    return unittest.end(env)

_cases_test = unittest.make(_cases_impl)

def nearest_names_tests(name):
    """The tests, as one target.

    Args:
      name: the suite's name.
    """
    unittest.suite(name, _cases_test)
