"""What a model declares, with what its function's annotations add to it, checked against what they need."""

from __future__ import annotations

from collections.abc import Mapping

from chassis.declaration.kinds import MetadataError
from chassis.declaration.model import ModelMetadata
from chassis.declaration.model_io import ModelInput
from chassis.packaging.errors import EntryPointError

_OF_ROWS = ("table", "rows", "json")
_OF_ARRAYS = ("array", "arrays")
_UNTYPED = ("bytes", "mapping")
_UNSAID = ModelInput("input").media_type
_MEDIA_TYPES = {
    "table": "application/json",
    "rows": "application/json",
    "json": "application/json",
    "text": "text/plain",
}


def complete(metadata: ModelMetadata, signature: str, declared: Mapping[str, object]) -> ModelMetadata:
    """`metadata` of a function of `signature`, with the fields in `declared` that its code says.

    Raises:
      EntryPointError: it lacks what the function's inputs are made by, or has what the function does not take.
    """
    said = metadata.document()["columns"]
    if said and declared.get("columns", said) != said:
        raise EntryPointError(
            "columns are declared twice: by the dataclass that the function takes, and otherwise by `columns`\n"
            "  leave `columns` out"
        )
    try:
        metadata = metadata.replace(**declared)
    except (MetadataError, TypeError) as error:
        raise EntryPointError(f"what the function takes cannot be declared: {error}") from None
    _check_columns(metadata, signature)
    _check_tensors(metadata, signature)
    if signature not in _UNTYPED and signature != "arrays" and len(metadata.inputs) > 1:
        raise EntryPointError(
            f"the function takes one input, the model declares {len(metadata.inputs)}: "
            f"{', '.join(part.name for part in metadata.inputs)}"
        )
    first = metadata.inputs[0]
    if signature in _MEDIA_TYPES and first.media_type == _UNSAID:
        metadata = metadata.replace(inputs=(first.replace(media_type=_MEDIA_TYPES[signature]),))
    return metadata


def _check_columns(metadata: ModelMetadata, signature: str) -> None:
    if signature == "table" and not metadata.columns:
        raise EntryPointError(
            "the function takes a data frame, and the model declares no columns: what a column is must not depend on "
            "the rows that happen to come together\n"
            '  declare them: columns = {"amount": "FP64?", "city": "TEXT"}, with ? where a value may be missing'
        )
    if metadata.columns and signature not in _OF_ROWS:
        raise EntryPointError(
            f"columns are declared, but the function takes {signature}\n"
            "  annotate its input as a data frame of pandas, a dict or a dataclass, or leave `columns` out"
        )


def _check_tensors(metadata: ModelMetadata, signature: str) -> None:
    inputs = [part.name for part in metadata.inputs if part.tensor]
    outputs = [part.name for part in metadata.outputs if part.tensor]
    if signature == "bytes" and inputs + outputs:
        raise EntryPointError(
            f"tensors are declared ({', '.join(inputs + outputs)}), but the function is one of bytes to JSON\n"
            '  give a function of mappings of bytes, annotated as one or with signature = "mapping", or one '
            "whose input is annotated as np.ndarray, or no tensors"
        )
    if signature == "array" and not inputs:
        name = metadata.inputs[0].name
        raise EntryPointError(
            "the function takes an array, and the model does not declare of which type and shape\n"
            f'  declare it, for one item: tensors = {{"{name}": "FP32[4]"}}'
        )
    if inputs and signature not in ("mapping", *_OF_ARRAYS):
        raise EntryPointError(
            f"tensors are declared ({', '.join(inputs)}), but the function takes {signature}: annotate its input as "
            "np.ndarray"
        )
    wide = [part.name for part in (*metadata.inputs, *metadata.outputs) if part.datatype == "BF16"]
    if wide and signature not in _UNTYPED:
        raise EntryPointError(f"{wide[0]!r} is declared as BF16, which NumPy lacks: declare FP32, or take bytes")
