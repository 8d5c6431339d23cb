"""ImagePythonInfo: the Python of images, as the build machine runs it."""

ImagePythonInfo = provider(
    doc = "What an `image_python` is, but for its base and its headers, which have targets of their own.",
    fields = {
        "interpreter": "File: an interpreter of that version that the build machine runs; None if the tools' own Python serves. It is among the target's runfiles, with what it reads.",
        "label": "Label: the `image_python`, for errors.",
        "path": "string: where the base has it, such as `/usr/bin/python3.13`.",
        "version": "string: its minor version, such as `3.13`.",
    },
)
