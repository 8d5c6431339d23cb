"""What is packaged, and what comes of it, as they pass between processes."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class PickleRequest:
    """A predict function to be pickled and checked. Files are absolute paths.

    Attributes:
      entry_point: `module:attribute`, the module relative to `package_dir` or the workspace; empty for a ready pickle.
      package_dir: the package's directory in the workspace.
      sources: path in the workspace to file: the entry module and modules that are pickled with it, by value.
      import_paths: directories from which the model's dependencies are imported.
      signature: `bytes`, `mapping` or `auto`.
      batch_size: 0 for a function of one input.
      private_paths: directories whose names must not be in the pickle.
      loader: `module:attribute` of what is called before the first input; empty if nothing is.
      has_columns: whether the model declares columns.
      framework: `Framework` as a tuple, in place of an entry point; empty for none.
      pickle_name: what a ready pickle is called, for people; empty for an entry point.
    """

    entry_point: str
    package_dir: str
    sources: Mapping[str, str]
    import_paths: tuple[str, ...]
    signature: str
    batch_size: int
    private_paths: tuple[str, ...]
    loader: str = ""
    has_columns: bool = False
    framework: tuple[Any, ...] = ()
    pickle_name: str = ""

    def to_json(self) -> str:
        """The request as JSON."""
        return json.dumps(dataclasses.asdict(self))

    @staticmethod
    def from_json(text: str) -> PickleRequest:
        """The request that `to_json` wrote."""
        read: dict[str, Any] = json.loads(text)
        fields: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in read.items()
        }
        return PickleRequest(**fields)
