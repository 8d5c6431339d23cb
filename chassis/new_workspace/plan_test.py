"""What is planned for an empty directory, for a workspace, and for a directory in one; nothing is overwritten."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from pathlib import Path

import pytest

from chassis.errors import ChassisError
from chassis.new_workspace.origin import Origin, calls, constant, named_origin, origin_of
from chassis.new_workspace.plan import Plan, frameworks, plan, write
from chassis.packed_model.hub_contents import read_hub

ORIGIN = Origin("0.1.0", 'local_path_override(\n    module_name = "chassis",\n    path = "../chassis",\n)')
LOCK = "# Renew with: bazel run //requirements:locks\nscikit-learn==1.9.1 --hash=sha256:00\n"


def _locks(requirements: Sequence[str]) -> dict[str, str]:
    assert requirements
    return {f"requirements/{lock}.txt": LOCK for lock in ("linux_amd64", "linux_arm64")}


def planned(directory: Path, framework: str = "sklearn") -> Plan:
    return plan(directory, framework, lambda _: ORIGIN, _locks)


def names(found: Plan) -> set[str]:
    return {str(change.path.relative_to(found.workspace)) for change in found.changes}


@pytest.mark.parametrize("framework", frameworks())
def test_an_empty_directory_becomes_a_workspace_that_has_all(tmp_path: Path, framework: str) -> None:
    found = planned(tmp_path / "Team 1", framework)
    assert not found.asks
    assert found.label == "//model"
    assert {"MODULE.bazel", ".bazelrc", ".gitignore", "model/BUILD.bazel"} <= names(found)
    assert any(name.startswith("model/cases/") for name in names(found))
    write(found.changes)
    module = (tmp_path / "Team 1/MODULE.bazel").read_text()
    assert 'module(name = "team_1")' in module
    assert 'bazel_dep(name = "chassis", version = "0.1.0")\nlocal_path_override(' in module
    assert "Chassis' own repository" not in (tmp_path / "Team 1/model/BUILD.bazel").read_text()
    again = planned(tmp_path / "Team 1", framework)
    assert again.changes == ()
    assert again.asks


@pytest.mark.parametrize("framework", frameworks())
def test_a_package_has_what_its_build_file_names(tmp_path: Path, framework: str) -> None:
    write(planned(tmp_path / "team", framework).changes)
    package = tmp_path / "team/model"
    build = {name: keywords for name, keywords, _ in calls((package / "BUILD.bazel").read_text())}
    assert {"chassis_model", "chassis_image", "chassis_test", "oci_index", "oci_push"} <= build.keys()
    assert constant(build["chassis_image"]["model"]) == ":" + constant(build["chassis_model"]["name"])
    for attribute in ("srcs", "data"):
        for file in ast.literal_eval(build["chassis_model"].get(attribute, ast.List([]))):
            assert (package / file).stat().st_size, file
    # Each requirement is a dependency of the model, by its name in a hub, and nothing else is.
    deps = ast.literal_eval(build["chassis_model"].get("deps", ast.List([])))
    file = tmp_path / "team/requirements/requirements.in"
    requirements = file.read_text().split() if file.exists() else []
    assert sorted(deps) == sorted("@pypi//" + name.replace("-", "_") for name in requirements)
    left = {path.name for path in package.iterdir()} - {"BUILD.bazel", "cases", "model.py", "train.py"}
    assert left == set(ast.literal_eval(build["chassis_model"].get("data", ast.List([]))))


def test_a_file_that_is_not_text_is_shown_by_its_size(tmp_path: Path) -> None:
    found = planned(tmp_path, "onnx")
    (change,) = (change for change in found.changes if change.path.suffix == ".onnx")
    assert isinstance(change.after, bytes)
    assert change.shown(tmp_path) == f"--- /dev/null\n+++ b/model/iris.onnx\n({len(change.after)} bytes)"
    write(found.changes)
    (tmp_path / "model/iris.onnx").write_bytes(b"mine")
    again = planned(tmp_path, "onnx")
    assert tmp_path / "model/iris.onnx" in again.kept


def test_requirements_have_a_hub_with_its_locks_and_the_command_that_renews_them(tmp_path: Path) -> None:
    write(planned(tmp_path / "team").changes)
    contents = read_hub(tmp_path / "team", "pypi")
    assert contents is not None
    assert contents.renew == "bazel run //requirements:locks"
    assert set(contents.locks) == {"//requirements:linux_amd64.txt", "//requirements:linux_arm64.txt"}
    assert "scikit-learn" in contents.versions
    build = (tmp_path / "team/requirements/BUILD.bazel").read_text()
    assert 'requirements = "requirements.in"' in build
    assert (tmp_path / "team/requirements/requirements.in").read_text() == "scikit-learn\n"


def test_a_model_without_requirements_has_no_hub(tmp_path: Path) -> None:
    found = planned(tmp_path / "team", "python")
    assert not any(name.startswith("requirements") for name in names(found))
    assert "wheels" not in next(change.after for change in found.changes if change.path.name == "MODULE.bazel")


def test_a_workspace_gets_what_it_lacks_and_keeps_every_line(tmp_path: Path) -> None:
    module = 'module(name = "shop")\n\nbazel_dep(name = "platforms", version = "0.0.11")\nwheels = "pypi"\n'
    rc = "# ours\nbuild --sandbox_default_allow_network=true\ntest --test_output=all"
    (tmp_path / "MODULE.bazel").write_text(module)
    (tmp_path / ".bazelrc").write_text(rc)
    (tmp_path / "BUILD.bazel").write_text("# ours\n")
    found = planned(tmp_path / "ml/fraud")
    assert found.asks
    assert found.label == "//ml/fraud"
    changes = {str(change.path.relative_to(tmp_path)): change for change in found.changes}
    assert changes["MODULE.bazel"].after.startswith(module)
    assert 'bazel_dep(name = "chassis"' in changes["MODULE.bazel"].after
    assert '.hub(\n    name = "chassis_wheels"' in changes["MODULE.bazel"].after  # `pypi` is something else here
    assert changes[".bazelrc"].after.startswith(rc + "\n")
    assert "allow_network=false" not in changes[".bazelrc"].after
    assert "test_output=errors" not in changes[".bazelrc"].after
    assert "\nbuild --incompatible_strict_action_env\n" in changes[".bazelrc"].after
    assert "BUILD.bazel" not in changes
    assert '"@chassis_wheels//scikit_learn"' in changes["ml/fraud/BUILD.bazel"].after
    assert "+bazel_dep" in changes["MODULE.bazel"].shown(tmp_path)
    assert "\n-" not in changes["MODULE.bazel"].shown(tmp_path).replace("\n--- ", "")


def test_a_workspace_with_a_hub_keeps_it(tmp_path: Path) -> None:
    (tmp_path / "MODULE.bazel").write_text(
        'bazel_dep(name = "chassis", version = "0.1.0")\n'
        'own = use_extension("@chassis//rules:extensions.bzl", "wheels")\n'
        'own.hub(name = "shop_pypi", lock = "//:uv.lock")\nuse_repo(own, "shop_pypi")\n'
    )
    found = planned(tmp_path)
    assert names(found) == {".bazelrc", "model/BUILD.bazel", "model/model.py", "model/cases/setosa.json"}
    assert found.hub == "shop_pypi"


def test_files_that_are_there_stay(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model/model.py").write_text("mine = 1\n")
    found = planned(tmp_path)
    assert found.asks
    assert found.kept == (tmp_path / "model/model.py",)
    write(found.changes)
    assert (tmp_path / "model/model.py").read_text() == "mine = 1\n"


@pytest.mark.parametrize(
    ("files", "directory", "error"),
    [
        ({"team": ""}, "team", "is a file: name a directory"),
        ({"WORKSPACE": ""}, "team", "is a workspace without MODULE.bazel"),
        ({"MODULE.bazel": 'module(\n    name = "chassis",\n)\n'}, "x", "is Chassis' own repository"),
        ({"MODULE.bazel": "", "x/BUILD": "# lib\n"}, "x", "name a directory that is not yet a package"),
        ({"MODULE.bazel": "", "requirements/a.txt": ""}, "x", 'wheels.hub(name = "pypi", lock = "//requirements:'),
        ({"MODULE.bazel": "module(\n"}, "x", "cannot be read"),
    ],
)
def test_what_cannot_have_a_model_says_why(tmp_path: Path, files: dict[str, str], directory: str, error: str) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    with pytest.raises(ChassisError) as raised:
        planned(tmp_path / directory)
    assert error in str(raised.value)


def test_a_file_that_changed_since_is_not_overwritten(tmp_path: Path) -> None:
    found = planned(tmp_path)
    (tmp_path / ".bazelrc").write_text("# new\n")
    with pytest.raises(ChassisError, match="has changed meanwhile"):
        write(found.changes)
    assert (tmp_path / ".bazelrc").read_text() == "# new\n"


def _checkout(path: Path) -> Path:
    (path / "rules").mkdir(parents=True)
    (path / "rules/defs.bzl").write_text("")
    (path / "MODULE.bazel").write_text('module(\n    name = "chassis",\n    version = "0.1.0",\n)\n')
    return path


def test_a_checkout_is_named_by_its_path_from_the_workspace(tmp_path: Path) -> None:
    checkout = _checkout(tmp_path / "chassis")
    assert origin_of(checkout, tmp_path / "team") == ORIGIN


def test_a_workspace_has_chassis_from_where_the_running_one_has_it(tmp_path: Path) -> None:
    _checkout(tmp_path / "chassis")
    running = tmp_path / "a/running"
    running.mkdir(parents=True)
    dep = 'bazel_dep(name = "chassis", version = "0.1.0")\n'
    local = dep + 'local_path_override(module_name = "chassis", path = "../../chassis")\n'
    (running / "MODULE.bazel").write_text(local)
    assert origin_of(running, tmp_path / "team") == ORIGIN
    archive = 'archive_override(\n    module_name = "chassis",\n    urls = ["https://x.example/c.tar.gz"],\n)'
    (running / "MODULE.bazel").write_text(dep + archive)
    assert origin_of(running, tmp_path / "team") == Origin("0.1.0", archive)
    (running / "MODULE.bazel").write_text(dep)
    (running / ".bazelrc").write_text("common --registry=https://r.example\n")
    assert origin_of(running, tmp_path / "team") == Origin("0.1.0", "", ("common --registry=https://r.example",))


@pytest.mark.parametrize(
    ("text", "statement"),
    [
        ("chassis", 'local_path_override(\n    module_name = "chassis",\n    path = "../chassis",\n)'),
        ("registry+https://r.example", 'registry = "https://r.example"'),
        (f"git+https://g.example/c.git#{'0' * 40}", f'commit = "{"0" * 40}",\n    remote = "https://g.example/c.git"'),
        ("https://f.example/c.tar.gz#sha256-AA=", 'integrity = "sha256-AA=",\n    strip_prefix = "chassis-0.1.0"'),
    ],
)
def test_chassis_comes_from_where_it_is_said_to(tmp_path: Path, text: str, statement: str) -> None:
    _checkout(tmp_path / "chassis")
    assert statement in named_origin(text, "0.1.0", tmp_path / "team", tmp_path).override


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("nowhere", "is not a checkout of Chassis"),
        ("git+https://g.example/c.git#main", "expected a whole commit"),
        ("https://f.example/c.tar.gz", "openssl dgst -sha256 -binary"),
    ],
)
def test_a_place_that_is_none_says_what_one_is(tmp_path: Path, text: str, error: str) -> None:
    with pytest.raises(ChassisError) as raised:
        named_origin(text, "0.1.0", tmp_path / "team", tmp_path)
    assert error in str(raised.value)
