"""requirements_test: a test of Python code, with one of a hub's sets of requirements."""

load("@rules_python//python:defs.bzl", "py_test")
load("//rules/private/platform:requirements_transition.bzl", "REQUIREMENTS_ATTRS", "requirements_transition")
load("//rules/private/wheels:hub_labels.bzl", "check_dependencies", "check_requirements")

_ATTRS = REQUIREMENTS_ATTRS | {
    "test": attr.label(mandatory = True, cfg = requirements_transition, executable = True),
}

def _impl(ctx):
    test = ctx.attr.test[0] if type(ctx.attr.test) == "list" else ctx.attr.test
    program = ctx.actions.declare_file(ctx.label.name)
    ctx.actions.symlink(output = program, target_file = test[DefaultInfo].files_to_run.executable, is_executable = True)
    return [
        DefaultInfo(executable = program, runfiles = ctx.runfiles([program]).merge(test[DefaultInfo].default_runfiles)),
        testing.TestEnvironment(getattr(test[RunEnvironmentInfo], "environment", {}) if RunEnvironmentInfo in test else {}),
    ]

_requirements_test = rule(implementation = _impl, attrs = _ATTRS, test = True)

def requirements_test(
        name,
        requirements,
        tags = [],
        size = None,
        timeout = None,
        flaky = None,
        visibility = None,
        main = None,
        srcs = [],
        **kwargs):
    """A `py_test` whose wheels come from one of a hub's sets of requirements, as an image's do.

    ```starlark
    [
        requirements_test(
            name = "features_test_" + team,
            srcs = ["features_test.py"],
            main = "features_test.py",
            requirements = team,
            deps = [":features"],
        )
        for team in ["fraud", "vision"]
    ]
    ```

    `bazel test --@chassis//rules:requirements=fraud //lib/...` runs ordinary tests with it.

    Args:
      name: the target's name.
      requirements: the set, of a hub with `sets`.
      tags: Bazel's.
      size: Bazel's.
      timeout: Bazel's.
      flaky: Bazel's.
      visibility: Bazel's.
      main: the file that is run; defaults to the one of `srcs`.
      srcs: as of `py_test`.
      **kwargs: all else that `py_test` takes.
    """
    check_requirements("requirements_test(name = %r)" % name, requirements)
    check_dependencies("requirements_test(name = %r)" % name, kwargs.get("deps", []))
    py_test(
        name = name + ".py_test",
        srcs = srcs,
        main = main or srcs[0],
        tags = tags + ["manual"],
        visibility = ["//visibility:private"],
        **kwargs
    )
    _requirements_test(
        name = name,
        size = size,
        flaky = flaky,
        requirements = requirements,
        tags = tags,
        test = name + ".py_test",
        timeout = timeout,
        visibility = visibility,
    )
