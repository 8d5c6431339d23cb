"""Tests of modules.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from chassis.bootstrap.modules import Graph, bazelrc, find_packaged, follow, read_module, write_stubs
from chassis.bootstrap.workspace_mode import Mode


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def _module(name: str, *needs: str, development: str = "") -> str:
    lines = [f'module(name = "{name}", version = "1")']
    lines += [f'bazel_dep(name = "{need}", version = "1")' for need in needs]
    lines += [f'bazel_dep(name = "{development}", version = "1", dev_dependency = True)'] if development else []
    return "\n".join(lines) + "\n"


@pytest.fixture
def base(tmp_path: Path) -> Path:
    base = tmp_path / "base"
    _write(base / "embedded_tools/MODULE.bazel", _module("bazel_tools", "platforms", "zlib"))
    _write(base / "tools/platforms/MODULE.bazel", _module("platforms", "rules_license"))
    _write(base / "tools/skylib/MODULE.bazel", _module("bazel_skylib", "platforms", development="stardoc"))
    _write(base / "rules/license/MODULE.bazel", _module("rules_license"))
    _write(base / "rules/python/MODULE.bazel", _module("rules_python", "bazel_skylib", "protobuf"))
    _write(base / "rules/unused/MODULE.bazel", _module("rules_unused"))
    return base


def _follow(base: Path, workspace: Path) -> Graph:
    return follow(workspace, find_packaged(base), base / "embedded_tools")


def test_a_module_file_is_read_whatever_else_it_does(tmp_path: Path) -> None:
    path = _write(
        tmp_path / "MODULE.bazel",
        '"""doc"""\nmodule(\n    name = "m",\n)\nbazel_dep(name = "a", version = "1")\n'
        'bazel_dep(name = "b", version = "1", dev_dependency = True, repo_name = "other")\n'
        'local_path_override(module_name = "c", path = "../c")\n'
        'ext = use_extension("//:x.bzl", "ext")\next.tag(x = [y for y in range(3)])\nuse_repo(ext, "r")\n',
    )
    read = read_module(path)
    assert read == ("m", ("a",), ("b",), {"c": "../c"})


def test_a_development_dependency_may_be_said_by_a_name(tmp_path: Path) -> None:
    lines = [
        "RELEASE = True",
        'bazel_dep(name = "a", dev_dependency = RELEASE)',
        'bazel_dep(name = "b", dev_dependency = OTHER)',
    ]
    assert read_module(_write(tmp_path / "MODULE.bazel", "\n".join(lines))) == ("", ("b",), ("a",), {})


def test_a_broken_or_missing_module_file_counts_as_empty(tmp_path: Path) -> None:
    assert read_module(tmp_path / "nowhere") == ("", (), (), {})
    assert read_module(_write(tmp_path / "MODULE.bazel", "module(name = ")) == ("", (), (), {})


def test_what_the_graph_holds_is_overridden_and_nothing_else(base: Path, tmp_path: Path) -> None:
    _write(tmp_path / "w/MODULE.bazel", _module("w", "rules_python"))
    graph = _follow(base, tmp_path / "w")
    assert sorted(graph.overrides) == ["bazel_skylib", "platforms", "rules_license", "rules_python"]
    assert graph.stubs == ("protobuf", "zlib")


def test_development_dependencies_count_for_the_root_alone(base: Path, tmp_path: Path) -> None:
    _write(tmp_path / "w/MODULE.bazel", _module("w", development="bazel_skylib"))
    graph = _follow(base, tmp_path / "w")
    assert "bazel_skylib" in graph.overrides
    assert "stardoc" not in graph.stubs


def test_a_module_that_only_the_user_asks_for_is_left_to_bazel(base: Path, tmp_path: Path) -> None:
    _write(tmp_path / "w/MODULE.bazel", _module("w", "rules_oci"))
    graph = _follow(base, tmp_path / "w")
    assert "rules_oci" not in graph.overrides and "rules_oci" not in graph.stubs


def test_local_overrides_are_followed_and_watched(base: Path, tmp_path: Path) -> None:
    _write(
        tmp_path / "w/MODULE.bazel",
        _module("w", "chassis") + 'local_path_override(module_name = "chassis", path = "../c")\n',
    )
    _write(tmp_path / "c/MODULE.bazel", _module("chassis", "rules_python", development="rules_unused"))
    graph = _follow(base, tmp_path / "w")
    assert "rules_python" in graph.overrides
    assert "rules_unused" not in graph.overrides
    assert [path.resolve() for path in graph.files] == [
        tmp_path / "w/MODULE.bazel",
        tmp_path / "c/MODULE.bazel",
    ]


def test_a_workspace_that_is_itself_packaged_is_not_overridden(base: Path, tmp_path: Path) -> None:
    _write(tmp_path / "w/MODULE.bazel", _module("rules_license"))
    assert "rules_license" not in _follow(base, tmp_path / "w").overrides


def test_a_workspace_without_a_module_file_has_bazels_own_graph(base: Path, tmp_path: Path) -> None:
    assert sorted(_follow(base, tmp_path / "w").overrides) == ["platforms", "rules_license"]


def test_the_settings_hold_both_modes_and_quote_paths(base: Path, tmp_path: Path) -> None:
    _write(tmp_path / "w/MODULE.bazel", _module("w"))
    graph = _follow(base, tmp_path / "w")
    lines = bazelrc(graph, find_packaged(base), Path("/c d/modules"), True, Mode(None, None, ())).splitlines()
    assert 'common "--override_module=zlib=/c d/modules/zlib"' in lines
    assert f'common "--override_module=platforms={base}/tools/platforms"' in lines
    assert f'common:workspace "--override_repository=rules_python={base}/rules/python"' in lines
    assert "common --noenable_workspace" in lines
    assert not [line for line in lines if "hermetic_tmp" in line]
    visible = bazelrc(graph, {}, Path("/tmp/modules"), False, Mode(None, None, ()))
    assert "common --noincompatible_sandbox_hermetic_tmp" in visible.splitlines()


def test_a_workspace_that_goes_without_bzlmod_keeps_to_that(base: Path, tmp_path: Path) -> None:
    _write(tmp_path / "w/WORKSPACE", "")
    graph = _follow(base, tmp_path / "w")
    lines = bazelrc(graph, find_packaged(base), Path("/modules"), True, Mode(False, True, ())).splitlines()
    assert f'common "--override_repository=rules_python={base}/rules/python"' in lines
    assert "common --noenable_workspace" not in lines


def test_stubs_are_modules_and_repositories(base: Path, tmp_path: Path) -> None:
    _write(tmp_path / "w/MODULE.bazel", _module("w"))
    write_stubs(_follow(base, tmp_path / "w"), tmp_path / "stubs")
    assert read_module(tmp_path / "stubs/zlib/MODULE.bazel").name == "zlib"
    assert (tmp_path / "stubs/zlib/BUILD.bazel").is_file() and (tmp_path / "stubs/zlib/WORKSPACE").is_file()


def test_stubs_that_another_build_reads_are_left_as_they_are(base: Path, tmp_path: Path) -> None:
    _write(tmp_path / "w/MODULE.bazel", _module("w"))
    graph = _follow(base, tmp_path / "w")
    write_stubs(graph, tmp_path / "stubs")
    before = {path: path.stat().st_ino for path in (tmp_path / "stubs").rglob("*")}
    (tmp_path / "stubs/zlib/WORKSPACE").write_text("broken")
    with (tmp_path / "stubs/zlib/WORKSPACE").open() as reader:
        write_stubs(graph, tmp_path / "stubs")
        assert reader.read() == "broken", "a file was written in place, under its reader"
    after = {path: path.stat().st_ino for path in (tmp_path / "stubs").rglob("*")}
    assert [path.name for path in before if before[path] != after[path]] == ["WORKSPACE"]
    assert before.keys() == after.keys()
