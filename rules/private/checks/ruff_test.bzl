"""ruff_test: the Python files of a package are formatted and free of what ruff finds."""

load("//rules/private/python:python_tool.bzl", "python_test")
load(":buildifier_test.bzl", "buildifier_test")

def ruff_test(name = "ruff_test", srcs = None, starlark_srcs = []):
    """Makes a test of the package's Python files, and `buildifier_test` of its Starlark.

    Args:
      name: the target's name.
      srcs: the files; defaults to every `.py` of the package.
      starlark_srcs: more Starlark than the package's.
    """
    python_test(
        name = name,
        size = "small",
        data = [Label("//:pyproject.toml")],
        main = Label("//tests:run_ruff.py"),
        path_args = srcs or native.glob(["**/*.py"], exclude = ["**/*_pb2*.py"]),
        deps = [Label("@chassis_tools//ruff")],
    )
    buildifier_test(srcs = starlark_srcs)

    # For tests that read sources.
    native.filegroup(
        name = "python_sources",
        srcs = native.glob(["**/*.py"], allow_empty = True, exclude = ["**/*_pb2*.py"]),
        testonly = True,
        visibility = ["//tests:__subpackages__"],
    )
