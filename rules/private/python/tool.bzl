"""tool: a program of //chassis/tools, and the library of it that tests start or import."""

load("//rules/private/python:py_library.bzl", "py_library")
load(":python_tool.bzl", "python_tool")

def tool(name, deps, compiled = False, data = [], zip_imports = []):
    """Makes `NAME`, a `python_tool` of `NAME.py`, and `NAME_library` for tests.

    Args:
      name: the tool's name.
      deps: what it imports.
      compiled: as of `python_tool`: for what a person waits for, and what actions start for every layer and image.
      data: as of `python_tool`; wheels whose sources a compiled tool needs beside their bytecode.
      zip_imports: as of `python_tool`.
    """
    python_tool(
        name = name,
        compiled = compiled,
        data = data,
        main = name + ".py",
        deps = deps,
        zip_imports = zip_imports,
    )
    py_library(
        name = name + "_library",
        testonly = True,
        srcs = [
            "__init__.py",
            name + ".py",
        ],
        deps = deps,
    )
