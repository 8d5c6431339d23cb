"""What the server's own process imports, with a model beside it that has other releases, `.pth` files and finders."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from chassis.runtime import server_place

_PROBE = """
import importlib.util, json, sys
sys.path[:0] = {model!r}
import both, only_model
import types
sys.modules["google"] = types.ModuleType("google")
sys.modules["google"].__path__ = [{model!r}[0] + "/google"]
class Finder:
    def find_spec(self, name, path, target=None):
        return importlib.util.spec_from_file_location(name, {model!r}[0] + "/both.py") if name == "edited" else None
sys.meta_path.insert(0, Finder())
from chassis.runtime import server_place
server_place.enter({server!r})
import both, google.protobuf, csv
from chassis.runtime import late_imports
print(json.dumps({{
    "both": both.WHOSE,
    "protobuf": google.protobuf.WHOSE,
    "model's": [name for name in ("only_model", "edited") if importlib.util.find_spec(name)],
}}))
"""


def place(directory: Path, whose: str, *, version: str = "1.0") -> Path:
    (directory / "google/protobuf").mkdir(parents=True)
    (directory / "google/protobuf/__init__.py").write_text(f"WHOSE = {whose!r}\n")
    (directory / "both.py").write_text(f"WHOSE = {whose!r}\n")
    (directory / f"both-{version}.dist-info").mkdir()
    (directory / f"only_{whose}.py").touch()
    return directory


def test_the_server_imports_its_own_and_nothing_of_the_models(tmp_path: Path) -> None:
    model, server = place(tmp_path / "model", "model"), place(tmp_path / "server", "server")
    program = _PROBE.format(model=[str(model)], server=[str(server)])
    checkout = os.pathsep.join(path for path in sys.path if path)
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": checkout}
    )
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout) == {"both": "server", "protobuf": "server", "model's": []}


def test_a_place_is_shared_if_its_releases_agree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, server = place(tmp_path / "model", "model"), place(tmp_path / "server", "server")
    monkeypatch.setattr(sys, "path", [str(model)])
    server_place.share([str(server)])
    assert sys.path == [str(model), str(server)]


def test_another_release_in_the_shared_place_is_an_error_that_names_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, server = place(tmp_path / "model", "model"), place(tmp_path / "server", "server", version="2.0")
    monkeypatch.setattr(sys, "path", [str(model)])
    with pytest.raises(server_place.WheelsClashError, match=r"both is 1\.0 for the model and 2\.0 for the server"):
        server_place.share([str(server)])
