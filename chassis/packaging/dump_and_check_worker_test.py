"""Tests of chassis.packaging.dump_and_check_worker: one process for two steps gives what two give."""

from __future__ import annotations

from pathlib import Path

import pytest

from chassis.declaration.model import ModelMetadata
from chassis.packaging import errors
from chassis.packaging.isolated import Workplace
from chassis.packaging.packager import Model, package_model
from chassis.packaging.sample_models import written
from chassis.packaging.shared_imports import leading_imports


def test_pickle_and_check_in_one_process_are_as_in_two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel = tmp_path / "wheel"
    written(wheel / "numbers_of-1.0.dist-info" / "METADATA", b"")
    written(wheel / "numbers_of.py", b"import os, threading\nIMPORTED = []\nTHREAD = None\n")
    source = (
        b"import numbers_of\nnumbers_of.IMPORTED.append(1)\ndef process(a: bytes):\n    return numbers_of.IMPORTED\n"
    )
    model = Model(
        ModelMetadata(name="m"),
        "model:process",
        None,
        "",
        {"model.py": written(tmp_path / "model.py", source)},
        {},
        [wheel],
    )
    shared = package_model(model)
    steps = _counting_workers(monkeypatch)
    again = package_model(model)
    assert steps == ["chassis.packaging.dump_and_check_worker"]
    assert shared == again
    # A thread that a wheel starts is not there after a fork, so that each has a process of its own.
    (wheel / "numbers_of.py").write_text(
        "import threading\nIMPORTED = []\nthreading.Thread(target=threading.Event().wait, daemon=True).start()\n"
    )
    steps.clear()
    assert package_model(model) == shared
    assert steps == [f"chassis.packaging.{name}_worker" for name in ("dump_and_check", "dump", "check")]


def test_the_check_has_not_run_the_models_own_code(tmp_path: Path) -> None:
    wheel = tmp_path / "wheel"
    written(wheel / "registry-1.0.dist-info" / "METADATA", b"")
    registry = """
KNOWN = {}
class Entry:
    def __call__(self, content: bytes): ...
    def __reduce__(self): return find, ("me",)
def find(name): return KNOWN.get(name)
"""
    written(wheel / "registry.py", registry.encode())
    source = b"import registry\nregistry.KNOWN['me'] = print\nprocess = registry.Entry()\n"
    sources = {"model.py": written(tmp_path / "model.py", source)}
    with pytest.raises(errors.PackagingError, match="is a NoneType, expected a function"):
        package_model(Model(ModelMetadata(name="m"), "model:process", None, "", sources, {}, [wheel]))


def _counting_workers(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    workers: list[str] = []
    run = Workplace.run

    def counted(self: Workplace, worker: str, *arguments: object, **options: object) -> str:
        workers.append(worker)
        return run(self, worker, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Workplace, "run", counted)
    return workers


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import a.b\nfrom c import d, e\nX = 1\nimport f\n", [("a.b", ()), ("c", ("d", "e"))]),
        ('"""Words."""\nfrom __future__ import annotations\nimport a\n', [("a", ())]),
        ("import os\nos.environ['A'] = '1'\nimport a\n", [("os", ())]),
        ("from . import near\nimport a\n", []),
        ("try:\n    import a\nexcept ImportError:\n    pass\n", []),
    ],
)
def test_only_what_is_imported_first_is_imported_early(
    source: str, expected: list[tuple[str, tuple[str, ...]]]
) -> None:
    assert list(leading_imports(source.encode())) == expected
