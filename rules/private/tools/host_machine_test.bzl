"""Tests of host_machine.bzl."""

load("@bazel_skylib//lib:unittest.bzl", "asserts", "unittest")
load(":host_machine.bzl", "linux_architecture")

# Name of the system and CPU, as Java has them, to the architecture of the Linux programs that run there.
_MACHINES = {
    ("linux", "aarch64"): "arm64",
    ("linux", "amd64"): "amd64",
    ("linux", "arm64"): "arm64",
    ("linux", "riscv64"): "",
    ("linux", "x86_64"): "amd64",
    ("mac os x", "aarch64"): "",
    ("windows 11", "amd64"): "",
}

def _linux_architecture_test_impl(ctx):
    env = unittest.begin(ctx)
    for (system, cpu), wanted in _MACHINES.items():
        rctx = struct(os = struct(arch = cpu, name = system))
        asserts.equals(env, wanted, linux_architecture(rctx), "%s %s" % (system, cpu))
    return unittest.end(env)

_linux_architecture_test = unittest.make(_linux_architecture_test_impl)

def host_machine_tests(name):
    """The suite.

    Args:
      name: its name.
    """
    unittest.suite(name, _linux_architecture_test)
