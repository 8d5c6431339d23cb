"""browser_test: a test of pages in a real browser."""

load("//rules/private/python:python_tool.bzl", "pytest_test")

def browser_test(name, srcs, deps = [], data = [], env_paths = {}, tags = [], **kwargs):
    """A pytest test that finds a browser with `tests.support.browser.browser.BrowserFiles.of_environment()`.

    Args:
      name: the target's name.
      srcs: the test files.
      deps: what they import beside `tests.support.browser`.
      data: files they find in their runfiles.
      env_paths: as of `pytest_test`.
      tags: Bazel's tags.
      **kwargs: attributes of `pytest_test`.
    """
    pytest_test(
        name = name,
        srcs = srcs,
        data = data + ["//platforms/build_machine:emulator_files"],
        env_paths = env_paths | {
            "//platforms/build_machine:bwrap": "BWRAP",
            "@chassis_test_browser//:files": "BROWSER_ROOT",
        },
        tags = tags + ["browser"],
        deps = deps + ["//tests/support/browser"],
        **kwargs
    )
