"""The model of a framework's file: what a pickle holds of it, and what it says of itself."""

from __future__ import annotations

import importlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from chassis.declaration.frameworks import FRAMEWORKS
from chassis.packaging.errors import EntryPointError, MissingDependencyError
from chassis.packaging.remedies import remedy
from chassis.runtime.core.loader import FileLoad, Loader


class Framework(NamedTuple):
    """A framework, with what the model declares beside its file.

    Attributes:
      name: one of `FRAMEWORKS`.
      data: the key of the file.
      columns: the names of the columns.
      tensors: the names of the inputs that are tensors.
      outputs: the names of the outputs.
    """

    name: str
    data: str
    columns: tuple[str, ...]
    tensors: tuple[str, ...]
    outputs: tuple[str, ...]


class FrameworkModel(NamedTuple):
    """A model of a framework: what is pickled, its signature, and fields of its metadata."""

    predictor: Loader
    signature: str
    declared: dict[str, object]


def framework_model(given: Framework) -> FrameworkModel:
    """Reads the file of a framework, which `chassis.data_path` finds.

    Raises:
      MissingDependencyError: a package of the framework is not among the model's dependencies.
      EntryPointError: the file is not one of the framework, or not what the model declares.
    """
    adapter = _adapter(given.name)
    path = Path(os.environ["CHASSIS_DATA"], given.data)
    try:
        declared = dict(adapter.describe(path, given.columns, given.tensors, given.outputs))
    except ModuleNotFoundError as error:
        raise _missing(given.name, error.name or "", f"{given.data} needs") from None
    except Exception as error:  # whatever a framework raises of a file that it cannot read
        raise EntryPointError(f"framework {given.name!r}, {given.data}: {error}{remedy(error)}") from None
    said = declared.pop("signature", None)
    signature = "table" if given.columns or "columns" in declared else str(said or "array")
    return FrameworkModel(
        Loader(adapter.predict, FileLoad(adapter.load, given.data, given.outputs)), signature, declared
    )


def _adapter(name: str) -> Any:
    try:
        return importlib.import_module(f"chassis.frameworks.{name}")
    except ModuleNotFoundError as error:
        raise _missing(name, error.name or "", "it needs") from None


def _missing(framework: str, module: str, why: str) -> MissingDependencyError:
    wanted: Sequence[str] = FRAMEWORKS[framework]
    top = module.partition(".")[0]
    names = {"mlflow": "mlflow-skinny", "sklearn": "scikit-learn"}
    package = next((one for one in wanted if one.replace("-", "_") == top), names.get(top, top))
    label = package.replace("-", "_")
    return MissingDependencyError(
        f"framework {framework!r}: {why} {package}, which is not among the model's dependencies\n"
        f'  add it to `deps` of the chassis_model: "@pypi//{label}", if that is the name of your hub'
    )
