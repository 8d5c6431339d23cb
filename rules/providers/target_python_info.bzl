"""TargetPythonInfo: the target's Python as a program that the build machine runs."""

TargetPythonInfo = provider(
    doc = "The interpreter of the target platform, startable on the build machine; the program is the target's executable.",
    fields = {
        "emulated": "bool: whether it runs under an emulator, and so an order of magnitude slower.",
        "python_version": "string: its minor version, such as `3.11`.",
    },
)
