"""buildifier_test: the Starlark files of a package are formatted."""

load("//rules/private/python:python_tool.bzl", "python_test")

_STARLARK = [
    "*.bzl",
    "BUILD.bazel",
    "MODULE.bazel",
    "WORKSPACE",
]

def buildifier_test(name = "buildifier_test", srcs = []):
    """Makes a test of the package's Starlark files.

    Args:
      name: the target's name.
      srcs: more files.
    """
    python_test(
        name = name,
        size = "small",
        env_paths = {"@chassis_buildifier//:buildifier": "BUILDIFIER"},
        main = Label("//tests:run_buildifier.py"),
        path_args = native.glob(_STARLARK, allow_empty = True) + srcs,
    )
