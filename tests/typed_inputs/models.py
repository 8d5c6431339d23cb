"""Models of typed inputs, one of each kind, with what each declares."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from chassis.declaration.model import ModelMetadata
from chassis.packaging.packager import Model, package_model

_TABLE = """
from __future__ import annotations
import pandas as pd

def predict(frame: pd.DataFrame) -> pd.DataFrame:
    if (frame["n"] < 0).any():
        raise ValueError("a negative n")
    return pd.DataFrame({
        "types": [", ".join(map(str, frame.dtypes))] * len(frame),
        "double": frame["amount"] * 2,
        "city": frame["city"].str.upper(),
        "n": frame["n"] + 1,
    })
"""

_NUMBERS = """
import pandas as pd

def predict(frame: pd.DataFrame) -> list[object]:
    kinds = " ".join(dict.fromkeys(map(str, frame.dtypes)))
    return [[kinds, total] for total in frame.sum(axis=1)]
"""

_ROWS = """
from __future__ import annotations
import dataclasses

@dataclasses.dataclass
class Parcel:
    grams: int
    country: str | None
    express: bool = False

    def __post_init__(self) -> None:
        if self.grams < 0:
            raise ValueError(f"grams: {self.grams}")

def predict(parcels: list[Parcel]) -> list[str]:
    return [f"{type(one).__name__} {one.grams} {one.country} {one.express}" for one in parcels]
"""

_ARRAY = """
import numpy as np

def predict(rows: np.ndarray) -> np.ndarray:
    assert rows.dtype == np.float32 and rows.ndim == 2
    return rows.sum(axis=1)
"""

_ARRAYS = """
import numpy as np

def predict(inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    assert inputs["ids"].dtype == np.int64
    return {"sum": inputs["ids"].sum(axis=1), "scaled": inputs["ids"] * inputs["scale"][:, None]}
"""

_TEXT = """
def predict(text: str) -> dict[str, object]:
    return {"upper": text.upper()}
"""

_JSON = """
def predict(rows: list[dict]) -> list[object]:
    return [[row["amount"], row["city"]] for row in rows]
"""

_COLUMNS = {"amount": "FP64?", "city": "TEXT?", "n": "INT64"}


class Typed(NamedTuple):
    """A model's source, and its metadata."""

    source: str
    metadata: ModelMetadata


MODELS = {
    "table": Typed(_TABLE, ModelMetadata("m", batch_size=8, columns=_COLUMNS)),
    "numbers": Typed(
        _NUMBERS, ModelMetadata("m", batch_size=4, columns={"a": "FP64", "b": "FP64", "c": "FP32", "d": "INT64"})
    ),
    "rows": Typed(_ROWS, ModelMetadata("m", batch_size=4)),
    "array": Typed(
        _ARRAY,
        ModelMetadata(
            "m",
            batch_size=4,
            inputs={"x": {"tensor": "FP32[-1]"}},
            outputs={"total": {"tensor": "FP64[]"}},
        ),
    ),
    "arrays": Typed(
        _ARRAYS,
        ModelMetadata(
            "m",
            batch_size=4,
            inputs={"ids": {"tensor": "INT64[-1]"}, "scale": {"tensor": "FP32[]"}},
            outputs={"sum": {"tensor": "INT64[]"}, "scaled": {"tensor": "FP32[-1]"}},
        ),
    ),
    "text": Typed(_TEXT, ModelMetadata("m")),
    "json": Typed(_JSON, ModelMetadata("m", batch_size=4, columns={"amount": "FP64?", "city": "TEXT"})),
}


def write(directory: Path, typed: Typed, data: Mapping[str, Path] | None = None) -> Path:
    """Packages a model as the build does; returns its model directory."""
    directory.mkdir(parents=True, exist_ok=True)
    source = directory / "model.py"
    source.write_text(typed.source)
    made = package_model(
        Model(
            metadata=typed.metadata,
            entry_point="model:predict",
            pickle=None,
            package_dir="",
            sources={"model.py": source},
            data=data or {},
            import_paths=[Path(path) for path in sys.path if path],
        )
    )
    for name, content in (("model.pkl", made.pickle), ("status.pb", made.status), ("model.json", made.settings)):
        (directory / name).write_bytes(content)
    return directory
