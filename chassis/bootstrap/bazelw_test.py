"""Tests of `bazelw` itself, run with sh: what it starts, with which arguments, and how soon."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import time
from pathlib import Path

import pytest

_PROJECT = Path(__file__).parents[2]
_PRINT = '#!/bin/sh\nfor word; do echo "$word"; done\n'
_WORKS = '#!/bin/sh\ncase "$*" in --version) echo bazel 7.7.1 ;; *"query"*) ;; *) echo "system $*" ;; esac\n'


class Machine:
    """A directory that stands for a user's machine: a home with a fetched tree, a PATH, a workspace."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.workspace = root / "work space"
        self.path = root / "bin"
        self.tree = root / "home/.cache/chassis/bazel/trees/7.7.1-1"
        self.path.mkdir()
        self.workspace.mkdir()
        self.write(
            self.workspace / "MODULE.bazel",
            'module(name = "w")\nbazel_dep(name = "rules_python", version = "1")\n',
        )
        self.write(self.workspace / ".bazelversion", "7.7.1\n")
        shutil.copy(_PROJECT / "bazelw", self.workspace / "bazelw")
        for package in ("bootstrap", "debian"):
            files = [*(_PROJECT / "chassis" / package).glob("*.py"), *(_PROJECT / "chassis" / package).glob("*.asc")]
            sources = [path for path in files if "_test" not in path.name]
            for source in sources:
                self.write(self.workspace / "chassis" / package / source.name, source.read_text())
        for name in ("__init__.py", "data.py", "errors.py", "user_cache.py"):
            if (_PROJECT / "chassis" / name).is_file():
                self.write(self.workspace / "chassis" / name, (_PROJECT / "chassis" / name).read_text())

    def write(self, path: Path, text: str, mode: int = 0o644) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)

    def add_tree(self) -> None:
        self.write(self.tree / "bin/bazel", _PRINT, 0o755)
        self.write(self.tree / "install_base/embedded_tools/MODULE.bazel", 'module(name = "bazel_tools")\n')
        for name in ("rules_python", "rules_shell"):
            self.write(self.tree / f"install_base/rules/{name}/MODULE.bazel", f'module(name = "{name}")\n')

    def run(self, *arguments: str, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
        variables = {"HOME": f"{self.root}/home", "PATH": f"{self.path}:/usr/bin:/bin", **environment}
        return subprocess.run(
            [str(self.workspace / "bazelw"), *arguments],
            cwd=cwd or self.workspace,
            env=variables,
            capture_output=True,
            text=True,
            timeout=60,
        )


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.fixture
def ready(machine: Machine) -> Machine:
    machine.add_tree()
    return machine


def test_a_home_of_another_python_does_not_matter(ready: Machine) -> None:
    result = ready.run("build", PYTHONHOME=f"{ready.root}/another")
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1] == "build"


def test_every_argument_passes_through_as_it_is(ready: Machine) -> None:
    given = ["--output_base=/x y", "build", "//a:b", "--", "-c", "a  b", "*", "$HOME", ""]
    result = ready.run(*given)
    assert result.returncode == 0, result.stderr
    assert result.stdout.split("\n")[-len(given) - 1 : -1] == given


def test_the_fetched_bazel_is_started_with_what_it_needs(ready: Machine) -> None:
    words = ready.run("info").stdout.splitlines()
    for option in (
        "--nosystem_rc",
        f"--install_base={ready.tree}/install_base",
        "--trust_install_base",
        f"--server_javabase={ready.tree}/java",
        f"--host_jvm_args=-Xbootclasspath/a:{ready.tree}/label",
    ):
        assert option in words
    assert words[-1] == "info"


def _settings(result: subprocess.CompletedProcess[str]) -> str:
    (path,) = [line for line in result.stdout.splitlines() if line.startswith("--bazelrc=")]
    return Path(path.removeprefix("--bazelrc=")).read_text()


def test_the_modules_of_the_workspace_are_overridden_from_anywhere_in_it(ready: Machine) -> None:
    below = ready.workspace / "a/b"
    below.mkdir(parents=True)
    for directory in (ready.workspace, below):
        settings = _settings(ready.run("build", cwd=directory))
        assert f'common "--override_module=rules_python={ready.tree}/install_base/rules/rules_python"' in settings
        assert "override_module=rules_shell" not in settings


def test_a_change_of_the_module_file_is_seen(ready: Machine) -> None:
    assert "override_module=rules_shell" not in _settings(ready.run("build"))
    with (ready.workspace / "MODULE.bazel").open("a") as stream:
        stream.write('bazel_dep(name = "rules_shell", version = "1")\n')
    assert "override_module=rules_shell" in _settings(ready.run("build"))


def test_outside_of_a_workspace_there_are_no_settings(ready: Machine) -> None:
    result = ready.run("version", cwd=ready.root)
    assert result.returncode == 0
    assert "--bazelrc" not in result.stdout


def test_two_workspaces_have_settings_of_their_own(ready: Machine) -> None:
    other = ready.root / "other"
    ready.write(other / "MODULE.bazel", 'bazel_dep(name = "rules_shell", version = "1")\n')
    assert "override_module=rules_shell" in _settings(ready.run("build", cwd=other))
    assert "override_module=rules_shell" not in _settings(ready.run("build"))


def test_a_workspace_at_a_very_long_path_works(ready: Machine) -> None:
    deep = ready.root / "/".join(["d" * 50] * 6)
    ready.write(deep / "MODULE.bazel", 'bazel_dep(name = "rules_shell", version = "1")\n')
    assert "override_module=rules_shell" in _settings(ready.run("build", cwd=deep))


def test_a_second_call_decides_nothing_and_costs_little(ready: Machine) -> None:
    ready.run("info")
    shutil.rmtree(ready.workspace / "chassis")
    assert ready.run("info").returncode == 0

    def cost(command: list[str]) -> float:
        start = time.perf_counter()
        subprocess.run(command, cwd=ready.workspace, env=variables, stdout=subprocess.DEVNULL, check=True)
        return time.perf_counter() - start

    variables = {"HOME": f"{ready.root}/home", "PATH": "/usr/bin:/bin"}
    direct = [cost([str(ready.tree / "bin/bazel"), "info"]) for _ in range(9)]
    through = [cost([str(ready.workspace / "bazelw"), "info"]) for _ in range(9)]
    assert statistics.median(through) - statistics.median(direct) < 0.05


def test_a_bazel_of_the_path_that_works_is_used_as_it_is(machine: Machine) -> None:
    machine.write(machine.path / "bazel", _WORKS, 0o755)
    for _ in range(2):
        assert machine.run("build", "//...").stdout == "system build //...\n"


def test_a_broken_bazel_of_the_path_is_passed_over_once_and_then_remembered(ready: Machine) -> None:
    ready.write(ready.path / "bazel", "#!/bin/sh\necho broken >&2\nexit 1\n", 0o755)
    first = ready.run("info")
    assert f"passed over {ready.path}/bazel: it does not start: broken" in first.stderr
    assert first.stdout.endswith("info\n")
    assert ready.run("info").stderr == ""


def test_a_bazel_that_is_replaced_is_looked_at_again(ready: Machine) -> None:
    ready.write(ready.path / "bazelisk", "#!/bin/sh\nexit 1\n", 0o755)
    assert "passed over" in ready.run("info").stderr
    ready.write(ready.path / "bazelisk", _WORKS, 0o755)
    assert ready.run("info").stdout == "system info\n"
    (ready.path / "bazelisk").unlink()
    assert "--nosystem_rc" in ready.run("info").stdout


def test_the_environment_names_a_bazel_or_asks_for_the_fetched_one(ready: Machine) -> None:
    ready.write(ready.path / "bazel", _WORKS, 0o755)
    assert ready.run("info").stdout == "system info\n"
    assert "--nosystem_rc" in ready.run("info", CHASSIS_BAZEL="fetch").stdout
    ready.write(ready.root / "mine", '#!/bin/sh\necho "mine $*"\n', 0o755)
    assert ready.run("info", CHASSIS_BAZEL=str(ready.root / "mine")).stdout == "mine info\n"
    wrong = ready.run("info", CHASSIS_BAZEL="/nowhere")
    assert wrong.returncode == 1
    assert "CHASSIS_BAZEL is /nowhere" in wrong.stderr


def test_a_link_to_bazelw_on_the_path_is_not_a_bazel(ready: Machine) -> None:
    (ready.path / "bazel").symlink_to(ready.workspace / "bazelw")
    result = ready.run("info")
    assert "trying" not in result.stderr
    assert "--nosystem_rc" in result.stdout


def test_an_exit_status_of_bazel_is_that_of_bazelw(ready: Machine) -> None:
    ready.write(ready.tree / "bin/bazel", "#!/bin/sh\nexit 37\n", 0o755)
    assert ready.run("test").returncode == 37


def test_the_cache_may_lie_elsewhere_even_with_a_relative_name(ready: Machine) -> None:
    (ready.root / "home/.cache").rename(ready.workspace / "cache")
    result = ready.run("info", CHASSIS_CACHE="cache/chassis")
    assert result.returncode == 0, result.stderr
    assert f"--install_base={ready.workspace}/cache/chassis/bazel/trees/7.7.1-1/install_base" in result.stdout


def test_a_mirror_that_is_not_there_is_an_error_and_starts_nothing(machine: Machine) -> None:
    result = machine.run("info", CHASSIS_DEBIAN_MIRROR="http://127.0.0.1:9/debian", CHASSIS_DEBIAN_UNVERIFIED="1")
    assert result.returncode == 1
    assert result.stdout == ""
    assert "error: Debian's forky could not be read" in result.stderr
    assert "Traceback" not in result.stderr


def test_without_a_place_for_the_cache_it_says_so(ready: Machine) -> None:
    command = [str(ready.workspace / "bazelw"), "info"]
    result = subprocess.run(command, env={"PATH": os.defpath}, capture_output=True, text=True, timeout=60)
    assert result.returncode == 1
    assert "neither CHASSIS_CACHE nor XDG_CACHE_HOME nor HOME" in result.stderr


def _started(result: subprocess.CompletedProcess[str]) -> list[str]:
    assert result.returncode == 0, result.stderr
    return [line for line in result.stdout.splitlines() if line.startswith("--output_user_root=")]


def test_where_bazel_can_build_by_default_it_does(ready: Machine) -> None:
    assert _started(ready.run("info")) == []
    assert _started(ready.run("info", XDG_CACHE_HOME=str(ready.root / "home/.cache"))) == []


def test_where_home_cannot_be_written_to_bazel_builds_beside_the_cache(ready: Machine) -> None:
    """Below /proc nobody can make a directory, root included."""
    cache = str(ready.root / "home/.cache/chassis")
    for variables in ({"HOME": "/proc/nobody"}, {"HOME": ""}, {"XDG_CACHE_HOME": "/proc/cache"}):
        result = ready.run("info", CHASSIS_CACHE=cache, **variables)
        assert _started(result) == [f"--output_user_root={cache}/output"], variables


def test_what_the_caller_says_of_the_outputs_comes_after_it(ready: Machine) -> None:
    cache = str(ready.root / "home/.cache/chassis")
    result = ready.run("--output_user_root=/mine", "info", HOME="/proc/nobody", CHASSIS_CACHE=cache)
    assert _started(result) == [f"--output_user_root={cache}/output", "--output_user_root=/mine"]
