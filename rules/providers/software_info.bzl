"""SoftwareInfo: what an image is made of. AttestationsInfo: the documents that say so."""

SoftwareInfo = provider(
    doc = "What an image is made of, for the documents that say so. Nothing of it is made before it is asked for.",
    fields = {
        "accuracy": "list of File: case files whose accuracy the tests assert, for the model's card.",
        "facts": "list of (LayerInfo, File): every layer of this build, lowest first, with the doctor's facts of it.",
        "metadata": "File: JSON, the model's metadata (chassis/declaration/metadata_file.py); None if it is not known.",
        "model": "string: the model's name.",
        "parameters": "dict: what was asked of the build: platform and flags.",
        "python_version": "string: minor version of the image's Python.",
        "records": "list of File: JSON, what is known of packages (chassis/trust/package_record.py), lowest first.",
        "sources": "depset of File: the model's first-party sources and data.",
        "version": "string: the model's version.",
    },
)

AttestationsInfo = provider(
    doc = "The documents about an image, or about each image of an index.",
    fields = {
        "images": "list of struct: for each image `documents` (its layout without layers), `cyclonedx`, `spdx` and `provenance`, all File.",
        "index": "struct: of an index `documents`, `cyclonedx` and `spdx`, which say what images it has; None of an image.",
    },
)
