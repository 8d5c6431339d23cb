"""An image that is made again is compared with the published one: of two that differ, the input that does is named."""

from __future__ import annotations

import copy
import hashlib
import json
import os
import platform
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chassis.declaration.platforms import MACHINES
from chassis.declaration.pythons import DEFAULT_PYTHON
from chassis.trust.comparison import ImageRecord, differences
from chassis.trust.errors import RebuildError, RecordError
from chassis.trust.rebuild import Rebuilder, Recipe, provenance_of, rebuild_statement, recipe_of
from chassis.trust.statement import PROVENANCE, SPDX, Statement, read_statements

OTHER = hashlib.sha256(b"other").hexdigest()
COMMIT = "1" * 40


class Documents:
    """The real documents of an image, to be changed."""

    def __init__(self, image: str) -> None:
        layout = Path(os.environ[f"{image}_LAYOUT"])
        digest = json.loads((layout / "index.json").read_bytes())["manifests"][0]["digest"]
        self.manifest = json.loads((layout / "blobs" / digest.replace(":", "/")).read_bytes())
        config = self.manifest["config"]["digest"].replace(":", "/")
        self.config = json.loads((layout / "blobs" / config).read_bytes())
        (statement,) = read_statements(Path(os.environ[f"{image}_PROVENANCE"]).read_bytes(), image)
        self.provenance = copy.deepcopy(dict(statement.predicate))

    def record(self) -> ImageRecord:
        config = json.dumps(self.config).encode()
        self.manifest["config"]["digest"] = "sha256:" + hashlib.sha256(config).hexdigest()
        return ImageRecord(json.dumps(self.manifest).encode(), config, self.provenance)

    def dependency(self, text: str) -> dict[str, Any]:
        (found,) = [one for one in self.provenance["buildDefinition"]["resolvedDependencies"] if text in one["uri"]]
        return found

    def change_layer(self, origin: str, recompressed: bool = False) -> None:
        """Another digest and diff_id: an eStargz layer has both by another compressor too, and the same content."""
        (place,) = [n for n, entry in enumerate(self.config["history"]) if f": {origin}" in entry["created_by"]]
        layer = self.manifest["layers"][place]
        (held,) = [one for one in self.contents() if one["digest"]["sha256"] == layer["digest"].partition(":")[2]]
        other = hashlib.sha256(origin.encode()).hexdigest()
        held["digest"]["sha256"] = other
        if not recompressed:
            held["annotations"]["content"] = "sha256:" + OTHER
        layer["digest"] = "sha256:" + other
        self.config["rootfs"]["diff_ids"][place] = "sha256:" + other

    def contents(self) -> list[dict[str, Any]]:
        """What provenance says that layers hold."""
        return self.provenance["runDetails"]["byproducts"]


def _wheel(image: Documents) -> None:
    image.dependency("pkg:pypi/numpy@")["digest"]["sha256"] = OTHER
    image.change_layer("wheel numpy")


def _lock_line(image: Documents) -> None:
    entry = image.dependency("pkg:pypi/cloudpickle@")
    entry["uri"] = "pkg:pypi/cloudpickle@3.1.1"
    entry["digest"]["sha256"] = OTHER
    image.change_layer("wheel cloudpickle")


def _deb(image: Documents) -> None:
    image.dependency("/zlib1g@")["digest"]["sha256"] = OTHER
    image.change_layer("base debian")


def _weight(image: Documents) -> None:
    image.dependency("file:model/weights.npz")["digest"]["sha256"] = OTHER
    image.change_layer("data")


def _source(image: Documents) -> None:
    image.dependency("file:model/model.py")["digest"]["sha256"] = OTHER
    image.change_layer("model")


def _flag(image: Documents) -> None:
    image.provenance["buildDefinition"]["externalParameters"]["flags"]["compression"] = "gzip"
    for layer in image.manifest["layers"]:
        layer["digest"] = "sha256:" + OTHER


def _base(image: Documents) -> None:
    image.dependency("layer:")["digest"]["sha256"] = OTHER
    image.change_layer("base debian")


def _compressor(image: Documents) -> None:
    image.change_layer("wheel numpy", recompressed=True)
    image.change_layer("data", recompressed=True)


def _server(image: Documents) -> None:
    image.change_layer("runtime")


def _label(image: Documents) -> None:
    image.config["config"]["Labels"]["org.opencontainers.image.version"] = "0.0.2"


TAMPERED = {
    "a wheel": (_wheel, ["wheel numpy (//requirements:linux_amd64.txt, line ", f"sha256:{OTHER[:12]}…"]),
    "a line of a lock": (_lock_line, ["wheel cloudpickle (//requirements:linux_amd64.txt, line ", "made again 3.1.1"]),
    "a .deb": (_deb, ["deb zlib1g:amd64 (", f"sha256:{OTHER[:12]}…"]),
    "a weight": (_weight, ["source model/weights.npz: sha256:"]),
    "the model's source": (_source, ["source model/model.py: sha256:"]),
    "a flag": (_flag, ["flag compression: estargz published, gzip made again"]),
    "the base": (_base, ["base layer 1: sha256:"]),
    "the compressor": (
        _compressor,
        ["the compressor: by the images' own documents, layers of the same content have other bytes: wheel numpy"],
    ),
    "the server": (_server, ["the server (runtime //chassis/runtime:server): sha256:"]),
    "a label": (_label, ["label org.opencontainers.image.version: 0.0.1 published, 0.0.2 made again"]),
}


@pytest.mark.parametrize("tampered", TAMPERED)
def test_the_one_input_that_differs_is_named(tampered: str) -> None:
    change, expected = TAMPERED[tampered]
    published, built = Documents("MODEL"), Documents("MODEL")
    if tampered == "the base":  # of a foreign base, each layer is a dependency
        digest = published.manifest["layers"][0]["digest"]
        for image in (published, built):
            entry = {"uri": f"layer:{digest}", "name": "base", "digest": {"sha256": digest.partition(":")[2]}}
            image.provenance["buildDefinition"]["resolvedDependencies"].append(entry)
    assert differences(published.record(), built.record()) == []
    change(built)
    (line,) = differences(published.record(), built.record())
    for part in expected:
        assert part.replace("made again 3.1.1", "3.1.1 sha256:") in line


@pytest.mark.parametrize("without", ["published", "built", "published and built"])
def test_provenance_without_contents_of_layers_is_compared_by_what_is_unpacked(without: str) -> None:
    """As an older Chassis wrote it; of layers without a table of their members, as gzip alone makes them."""
    published, built = Documents("MODEL"), Documents("MODEL")
    (place,) = [n for n, entry in enumerate(built.config["history"]) if ": wheel numpy" in entry["created_by"]]
    digest = built.manifest["layers"][place]["digest"].partition(":")[2]
    (held,) = [one for one in built.contents() if one["digest"]["sha256"] == digest]
    held["digest"]["sha256"] = OTHER
    built.manifest["layers"][place]["digest"] = "sha256:" + OTHER
    for name, image in (("published", published), ("built", built)):
        if name in without:
            image.contents().clear()
    (line,) = differences(published.record(), built.record())
    assert line.startswith("the compressor: ")
    assert "have other bytes: wheel numpy" in line
    built.config["rootfs"]["diff_ids"][place] = "sha256:" + OTHER
    (line,) = differences(published.record(), built.record())
    assert line.startswith("the layer wheel numpy")


def test_byproducts_of_other_kinds_are_passed_over() -> None:
    published, built = Documents("MODEL"), Documents("MODEL")
    built.change_layer("data", recompressed=True)
    published.contents().extend(
        [
            {"uri": "file:log"},
            {"name": "layer"},
            {"name": "layer", "digest": {"sha512": "0"}, "annotations": {"content": "sha256:0"}},
            {"name": "layer", "digest": {"sha256": "0"}},
        ]
    )
    (line,) = differences(published.record(), built.record())
    assert line.startswith("the compressor: ")


def test_of_two_programs_that_were_tampered_with_each_is_named() -> None:
    built = Documents("MODEL")
    _compressor(built)
    _server(built)
    _lock_line(built)
    said = differences(Documents("MODEL").record(), built.record())
    assert [line.partition(" (")[0].partition(": by the")[0] for line in said] == [
        "wheel cloudpickle",
        "the server",
        "the compressor",
    ]


def test_a_real_image_for_another_cpu_differs_in_what_its_cpu_changes() -> None:
    lines = differences(Documents("MODEL").record(), Documents("ARM64").record())
    said = "\n".join(lines)
    assert "platform architecture: amd64 published, arm64 made again" in said
    assert "wheel numpy (//requirements:linux_amd64.txt, line " in said
    assert "the configuration's architecture: amd64 published, arm64 made again" in said
    assert "cloudpickle" not in said  # the same wheel for both


def test_what_no_input_explains_is_named_by_its_layer() -> None:
    built = Documents("MODEL")
    built.change_layer("wheel numpy")
    built.manifest["annotations"] = {"org.opencontainers.image.created": "now"}
    said = differences(Documents("MODEL").record(), built.record())
    assert said[0] == "annotation org.opencontainers.image.created: nothing published, now made again"
    assert re.match(r"the layer wheel numpy \S+, made of the same inputs: sha256:", said[1])
    assert len(said) == 2


def test_documents_that_are_none_are_refused() -> None:
    good = Documents("MODEL").record()
    for bad in (
        ImageRecord(b"[]", good.config, good.provenance),
        ImageRecord(b"{}", good.config, good.provenance),
        ImageRecord(b"{}", b"{", good.provenance),
        ImageRecord(b"{}", good.config, {}),
    ):
        with pytest.raises(RecordError):
            differences(good, bad)


def statement(change: Callable[[dict[str, Any]], None] = lambda definition: None, commit: str = COMMIT) -> Statement:
    """The real provenance, of a commit."""
    predicate = Documents("ARM64").provenance
    definition = predicate["buildDefinition"]
    definition["resolvedDependencies"].insert(
        0, {"uri": "git+https://git.example/m", "digest": {"gitCommit": commit}, "name": "commit"}
    )
    change(definition)
    return Statement("", "sha256:" + OTHER, PROVENANCE, predicate)


def test_a_recipe_has_the_flags_of_the_build() -> None:
    recipe = recipe_of(statement(), "r")
    assert recipe.target == "//model:image"
    assert recipe.commit == COMMIT
    assert set(recipe.flags) >= {
        "--platforms=//platforms:arm64",
        f"--@chassis//rules:python={DEFAULT_PYTHON}",
        "--@chassis//rules:bytecode=true",
        "--@chassis//rules:compression=estargz",
        "--stamp",
    }
    assert read_statements(json.dumps(_as_json(rebuild_statement("sha256:" + OTHER, recipe))).encode(), "x")


_OWN_PLATFORM = "@platforms//host:host"


def test_provenance_names_the_build_machines_own_platform_and_no_flag_does() -> None:
    parameters = Documents("MODEL").provenance["buildDefinition"]["externalParameters"]
    assert parameters["platform"]["name"].endswith(("//host:host", "//:host", ":host_platform"))
    own = {"architecture": _ARCHITECTURES[platform.machine()], "name": parameters["platform"]["name"]}
    recipe = recipe_of(statement(_set("externalParameters", "platform", own)), "r")
    assert not [flag for flag in recipe.flags if flag.startswith("--platforms")]


def test_the_platform_of_another_build_machine_is_refused() -> None:
    other = next(one for machine, one in _ARCHITECTURES.items() if machine != platform.machine())
    changed = statement(_set("externalParameters", "platform", {"architecture": other, "name": _OWN_PLATFORM}))
    with pytest.raises(RebuildError, match=f"its build machine's own platform, {other}, and this machine is"):
        recipe_of(changed, "r")


_ARCHITECTURES = {one.machine: one.architecture for one in MACHINES.values()}


def _as_json(one: Statement) -> dict[str, Any]:
    subject = [{"digest": {"sha256": one.digest.partition(":")[2]}}]
    return {"_type": "https://in-toto.io/Statement/v1", "subject": subject, "predicateType": one.predicate_type}


def _set(part: str, name: str, value: object) -> Callable[[dict[str, Any]], None]:
    return lambda definition: definition[part].__setitem__(name, value)


@pytest.mark.parametrize(
    ("change", "commit", "message"),
    [
        (lambda definition: definition["resolvedDependencies"].pop(0), COMMIT, "names no commit"),
        (lambda definition: None, "abc-dirty", "names the commit 'abc-dirty'"),
        (lambda definition: None, "--upload-pack=touch", "a commit has 40 hexadecimal digits"),
        (_set("externalParameters", "target", "--output_base=/"), COMMIT, "target: '--output_base=/'"),
        (_set("externalParameters", "python", "3.11 --config=x"), COMMIT, "is not of its form"),
        (_set("externalParameters", "flags", {"run_under": "sh"}), COMMIT, "the flag 'run_under'"),
        (_set("externalParameters", "flags", []), COMMIT, "lacks what a build needs"),
        (_set("externalParameters", "platform", {"name": _OWN_PLATFORM}), COMMIT, "lacks what a build needs"),
        (lambda definition: definition.__setitem__("buildType", "x"), COMMIT, "of another kind of build, 'x'"),
    ],
)
def test_provenance_that_cannot_be_built_is_refused(change: Any, commit: str, message: str) -> None:
    with pytest.raises(RebuildError) as caught:
        recipe_of(statement(change, commit), "registry/r@sha256:1")
    assert message in str(caught.value)


def test_provenance_that_names_a_commit_counts() -> None:
    without = Statement("", "sha256:" + OTHER, PROVENANCE, Documents("MODEL").provenance)
    assert provenance_of([without, statement(), without], "r") == statement()
    with pytest.raises(RebuildError, match="has no signed provenance"):
        provenance_of([Statement("", "sha256:" + OTHER, SPDX, {})], "r")


@pytest.fixture
def repository(tmp_path: Path) -> tuple[Path, str]:
    """A repository with a workspace in a directory of it, and its one commit."""
    root = tmp_path / "repository"
    (root / "team").mkdir(parents=True)
    (root / "team" / "MODULE.bazel").write_text("module(name = 'team')\n")
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "first"]):
        who = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
        subprocess.run(["git", *who, *command], cwd=root, check=True, env=git_environment(tmp_path))
    done = subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, check=True, capture_output=True, text=True)
    return root, done.stdout.strip()


def git_environment(home: Path) -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "HOME": str(home), "GIT_CONFIG_NOSYSTEM": "1"}


def test_a_commit_that_is_not_there_is_named(repository: tuple[Path, str]) -> None:
    recipe = recipe_of(statement(), "r")
    with pytest.raises(RebuildError) as caught:
        Rebuilder(repository[0] / "team").build(recipe, "r")
    assert f"names commit {COMMIT}, which the repository {repository[0]} does not have" in str(caught.value)
    assert "Fetch it from https://git.example/m." in str(caught.value)


def test_a_commit_that_is_on_no_branch_is_not_built(repository: tuple[Path, str], tmp_path: Path) -> None:
    root, commit = repository

    def git(*command: str) -> str:
        who = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
        done = subprocess.run(
            ["git", *who, *command], cwd=root, check=True, env=git_environment(tmp_path), capture_output=True, text=True
        )
        return done.stdout.strip()

    proposed = git("commit-tree", "-p", commit, "-m", "proposed", f"{commit}^{{tree}}")
    git("update-ref", "refs/pull/1/head", proposed)
    recipe = Recipe(proposed, "", "//:image", ())
    with pytest.raises(
        RebuildError, match=r"is on no branch or tag of the repository .*\n  Its build would run as you"
    ):
        Rebuilder(root / "team", Path("/bin/false")).build(recipe, "r")
    git("checkout", "-q", "--detach", proposed)
    with pytest.raises(RebuildError, match="failed with status 1"):
        Rebuilder(root / "team", Path("/bin/false")).build(recipe, "r")


def test_a_build_is_not_told_the_password_of_the_key(
    repository: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COSIGN_PASSWORD", "open-sesame")
    program = tmp_path / "bazel"
    program.write_text(f"#!/bin/sh\nenv >>{tmp_path}/seen\nexit 1\n")
    program.chmod(0o755)
    with pytest.raises(RebuildError, match="failed with status 1"):
        Rebuilder(repository[0] / "team", program).build(Recipe(repository[1], "", "//:image", ()), "r")
    assert "PATH=" in (tmp_path / "seen").read_text()
    assert "open-sesame" not in (tmp_path / "seen").read_text()


def test_a_build_that_fails_leaves_nothing(
    repository: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    root, commit = repository
    recipe = Recipe(commit, "", "//:image", ("--stamp",))
    for program, message in (("/bin/false", "failed with status 1"), ("/dev/null", "cannot be started")):
        with pytest.raises(RebuildError, match=message):
            Rebuilder(root / "team", Path(program)).build(recipe, "r")
    assert list((tmp_path / "temporary").iterdir()) == []
    assert subprocess.check_output(["git", "status", "--porcelain"], cwd=root) == b""
    with pytest.raises(RebuildError, match="git rev-parse failed"):
        Rebuilder(tmp_path).build(recipe, "r")
