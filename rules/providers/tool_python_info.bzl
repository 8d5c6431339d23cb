"""ToolPythonInfo: the Python that runs the tools of the build."""

ToolPythonInfo = provider(
    doc = "The interpreter that a Python tool is started with.",
    fields = {
        "files": "depset of File: the interpreter and what it reads.",
        "interpreter": "File: the program.",
        "python_version": "string: its minor version, such as `3.11`.",
    },
)
