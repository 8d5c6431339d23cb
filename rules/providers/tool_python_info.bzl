"""ToolPythonInfo: the Python that runs a tool of the build."""

ToolPythonInfo = provider(
    doc = "The interpreter that a Python tool is started with.",
    fields = {"python_version": "string: its minor version, such as `3.11`; None where its toolchain does not say."},
)
