"""for_linux: for what is made for Linux alone. runs_on_this_machine: for tests and programs that people start, which run where Bazel does and not where actions do."""

load("@chassis_neighbours//:neighbours.bzl", "MACHINE")

# Made once, not for each of a thousand images.
_FOR_LINUX = select({
    Label("//platforms:is_other"): [Label("//platforms/toolchains:chassis_is_for_linux_on_x86_64_and_aarch64")],
    "//conditions:default": [],
})

def for_linux():
    """Passes over a target, before anything below it is looked at, for a platform that no image can be for.

    Returns:
      A value for `target_compatible_with`.
    """
    return _FOR_LINUX

def runs_on_this_machine():
    """Passes over a target in a build for a platform whose programs this machine does not run.

    Returns:
      A value for `target_compatible_with`.
    """
    incompatible = [Label("//platforms/toolchains:this_machine_runs_programs_for_it")]
    if not MACHINE:
        return incompatible
    return select({
        Label("//platforms:is_linux_%s_any" % MACHINE): [],
        "//conditions:default": incompatible,
    })
