"""Tests of target.bzl."""

load("@bazel_skylib//lib:unittest.bzl", "asserts", "unittest")
load(":target.bzl", "emulated_cpu")

# The image's architecture, the platform's CPU, whether the build machine has another; and the emulator's CPU, "" if it runs as it is.
_CPUS = {
    ("amd64", "", False): "",
    ("amd64", "", True): "max",
    ("amd64", "x86-64-v2", False): "Nehalem",
    ("arm64", "", False): "",
    ("arm64", "", True): "cortex-a57",
    ("arm64", "cortex-a72", False): "cortex-a72",
    ("arm64", "cortex-a72", True): "cortex-a72",
}

def _emulated_cpu_test_impl(ctx):
    env = unittest.begin(ctx)
    for (architecture, cpu, foreign), wanted in _CPUS.items():
        asserts.equals(env, wanted, emulated_cpu(ctx.label, architecture, cpu, foreign), "%s %s %s" % (architecture, cpu, foreign))
    return unittest.end(env)

_emulated_cpu_test = unittest.make(_emulated_cpu_test_impl)

def target_tests(name):
    """The suite.

    Args:
      name: its name.
    """
    unittest.suite(name, _emulated_cpu_test)
