"""The JSON file in which the build hands a model's metadata to what pickles it: the fields of `ModelMetadata`."""

from __future__ import annotations

import json
from pathlib import Path

from chassis.declaration.kinds import MetadataError
from chassis.declaration.model import ModelMetadata


def read_metadata(path: Path) -> ModelMetadata:
    """Reads a metadata file.

    Raises:
      MetadataError: it is not JSON, has an unknown key, or a value that cannot be understood.
    """
    try:
        return ModelMetadata.parse(json.loads(path.read_bytes()))
    except ValueError as error:
        raise MetadataError(f"{path}: not JSON: {error}") from None
    except MetadataError as error:
        raise MetadataError(f"{path}: {error}") from None
