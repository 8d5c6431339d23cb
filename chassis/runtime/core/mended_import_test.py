"""A module is mended by whatever imports it first."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from chassis.runtime.core.mended_import import mend_when_imported

_NAME = "module_to_mend"


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The file of a module that the test's imports find, with what mends it."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path])
    path = tmp_path / f"{_NAME}.py"
    path.write_text("value = 1\n")
    mend_when_imported(_NAME, _mend)
    yield path
    sys.modules.pop(_NAME, None)


def _mend(module: ModuleType) -> None:
    module.value += 1


def test_a_module_is_mended_when_it_is_imported(module: Path) -> None:
    assert importlib.import_module(_NAME).value == 2


def test_a_module_that_was_looked_for_before_is_mended(module: Path) -> None:
    for _ in range(2):
        assert importlib.util.find_spec(_NAME) is not None
    assert importlib.import_module(_NAME).value == 2


def test_a_module_whose_first_import_failed_is_mended(module: Path) -> None:
    module.write_text("raise RuntimeError\n")
    with pytest.raises(RuntimeError):
        importlib.import_module(_NAME)
    module.write_text("value = 1  # of another size, since bytecode goes by it\n")
    assert importlib.import_module(_NAME).value == 2


def test_a_module_that_is_executed_again_is_mended_again(module: Path) -> None:
    assert importlib.reload(importlib.import_module(_NAME)).value == 2


def test_a_module_that_is_there_is_mended_at_once(module: Path) -> None:
    found = importlib.import_module(_NAME)
    mend_when_imported(_NAME, _mend)
    assert found.value == 3
