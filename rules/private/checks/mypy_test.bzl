"""mypy_test: the Python files of a package say their types, and keep to them."""

load("//rules/private/python:python_tool.bzl", "python_test")

def mypy_test(deps, name = "mypy_test", srcs = None, python_version = None):
    """Makes a test of the package's Python files that are not tests, with mypy's strict settings of pyproject.toml.

    What they import of Chassis is read too, for its types; other packages count as untyped.

    Args:
      deps: the libraries that the files are of, so that what they import is there.
      name: the target's name.
      srcs: the files; defaults to every `.py` of the package that is not a test.
      python_version: the oldest Python that the files run in, whose standard library they keep to; defaults to the tools'.
    """
    python_test(
        name = name,
        size = "medium",
        data = [Label("//:pyproject.toml")],
        main = Label("//tests:run_mypy.py"),
        tool_args = ["--python-version=" + python_version] if python_version else [],
        path_args = srcs or native.glob(["*.py"], exclude = ["*_test.py"]),
        deps = deps + [Label("@chassis_tools//mypy")],
    )
