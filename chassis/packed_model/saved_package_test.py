"""A model saved: what its directory has, and what is refused."""

import pickle
from pathlib import Path

import pytest

from chassis.declaration.model import ModelMetadata
from chassis.packed_model.model import PackedModel
from chassis.packed_model.saved_package import SaveError, save_package


@pytest.fixture
def workspace(tmp_path) -> Path:
    (tmp_path / "MODULE.bazel").write_text("")
    return tmp_path


def _model(tmp_path: Path, version: str = "1") -> PackedModel:
    (tmp_path / "names").write_text("cat\n")
    return PackedModel(
        ModelMetadata("cats", model_version=version),
        pickle.dumps(len),
        ("numpy==2.4.6",),
        files={"labels/names.txt": tmp_path / "names"},
    )


def _save(model: PackedModel, path: Path, overwrite: bool = False) -> Path:
    return save_package(model, path, gpu=False, arm64=None, hub="pypi", overwrite=overwrite)


def test_in_a_workspace_it_is_a_package(workspace):
    saved = _save(_model(workspace), workspace / "models" / "cats")
    assert saved == workspace / "models" / "cats"
    found = {path.relative_to(saved).as_posix() for path in saved.rglob("*") if path.is_file()}
    assert found == {"BUILD.bazel", "labels/names.txt", "model.pkl", "requirements.in"}
    assert (saved / "labels/names.txt").read_text() == "cat\n"
    assert (saved / "requirements.in").read_text().splitlines()[1:] == ["numpy==2.4.6"]
    assert [path.name for path in workspace.joinpath("models").iterdir()] == ["cats"]


def test_a_saved_model_is_replaced_only_when_told(workspace):
    _save(_model(workspace), workspace / "cats")
    with pytest.raises(SaveError, match="overwrite=True"):
        _save(_model(workspace, "2"), workspace / "cats")
    _save(_model(workspace, "2"), workspace / "cats", overwrite=True)
    assert 'version = "2"' in (workspace / "cats" / "BUILD.bazel").read_text()


def test_what_is_no_saved_model_stays(workspace):
    (workspace / "mine").mkdir()
    (workspace / "mine" / "thesis.txt").write_text("x")
    (workspace / "file").write_text("x")
    for name in ("mine", "file"):
        with pytest.raises(SaveError):
            _save(_model(workspace), workspace / name, overwrite=True)
    assert (workspace / "mine" / "thesis.txt").read_text() == "x"


def test_nothing_is_left_where_it_fails(workspace):
    model = _model(workspace)
    (workspace / "names").unlink()
    with pytest.raises(FileNotFoundError):
        _save(model, workspace / "cats")
    assert [path.name for path in workspace.iterdir()] == ["MODULE.bazel"]


def test_what_the_workspaces_hub_lacks_is_told(workspace, capsys):
    (workspace / "MODULE.bazel").write_text('wheels.hub(name = "pypi", lock = "//:requirements.txt")\n')
    (workspace / "requirements.txt").write_text("# Renew with: bazel run //:locks\nnumpi==2.4.6 --hash=sha256:00\n")
    _save(_model(workspace), workspace / "cats")
    said = capsys.readouterr().err
    assert "@pypi has no numpy; the nearest names in it: numpi" in said
    assert "run: bazel run //:locks" in said
    (workspace / "requirements.txt").write_text("numpy==2.4.6 --hash=sha256:00\n")
    _save(_model(workspace), workspace / "cats", overwrite=True)
    assert capsys.readouterr().err == ""
