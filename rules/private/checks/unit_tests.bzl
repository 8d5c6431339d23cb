"""unit_tests: a pytest target for each test file beside what it tests, and ruff for all of a package."""

load("//rules/private/python:python_tool.bzl", "pytest_test")
load(":ruff_test.bzl", "ruff_test")

def unit_tests(srcs, deps, data = {}, env_paths = {}, size = {}):
    """Makes a test of each file, `x_test.py` becomes `:x_test`, and `:ruff_test` of the package's Python files.

    Args:
      srcs: the test files.
      deps: what they import.
      data: test file to the labels that it finds in its runfiles.
      env_paths: test file to its `env_paths`, see `pytest_test`.
      size: test file to Bazel's test size if it is not `small`.
    """
    for src in srcs:
        pytest_test(
            name = src.removesuffix(".py"),
            srcs = [src],
            data = data.get(src, []),
            deps = deps,
            env_paths = env_paths.get(src, {}),
            size = size.get(src, "small"),
        )
    ruff_test()
