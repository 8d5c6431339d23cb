"""runs_on_this_machine: for tests and programs that people start, which run where Bazel does and not where actions do."""

load("@chassis_neighbours//:neighbours.bzl", "MACHINE")

def runs_on_this_machine():
    """Passes over a target in a build for a platform whose programs this machine does not run.

    Returns:
      A value for `target_compatible_with`.
    """
    incompatible = [Label("//platforms/toolchains:chassis_is_for_linux_on_x86_64_and_aarch64")]
    if not MACHINE:
        return incompatible
    return select({
        Label("//platforms:is_linux_%s_any" % MACHINE): [],
        "//conditions:default": incompatible,
    })
