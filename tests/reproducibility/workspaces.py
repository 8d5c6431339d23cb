"""Workspaces that depend on this one and have the same models, at the root of a build and in a dependency of it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from machine import CHECKOUT

_MODULE = """\
module(name = "{name}")

bazel_dep(name = "chassis", version = "0.1.0")
local_path_override(
    module_name = "chassis",
    path = "{chassis}",
)

bazel_dep(name = "platforms", version = "0.0.11")
bazel_dep(name = "rules_python", version = "0.40.0")

wheels = use_extension("@chassis//rules:extensions.bzl", "wheels")
wheels.hub(
    name = "{name}_wheels",
    locks = {{{locks}}},
)
use_repo(wheels, "chassis_tools", pypi = "{name}_wheels")
"""

_TEAM = """
bazel_dep(name = "team", version = "")
local_path_override(
    module_name = "team",
    path = "{team}",
)
"""

_WORKSPACE = """\
workspace(name = "outer")

local_repository(
    name = "chassis",
    path = "{chassis}",
)

local_repository(
    name = "team",
    path = "{team}",
)

load("@chassis//rules:repositories.bzl", "chassis_repositories", "wheel_locks")

chassis_repositories()

wheel_locks(
    name = "pypi_locks",
    hub = "pypi",
    locks = {{{locks}}},
)
"""

_HUB = """
load("@{name}_locks//:wheels.bzl", {name} = "wheel_hub")

{name}()
"""

# A model whose code is another repository's.
_BORROWED = """\
load("@chassis//rules:defs.bzl", "chassis_image", "chassis_model")

chassis_model(
    name = "sums",
    srcs = ["model.py"],
    entry_point = "model:process",
    deps = ["@team//ml/features:preprocess"],
)

chassis_image(
    name = "image",
    model = ":sums",
)
"""

_HUBS = ("chassis_pypi", "chassis_tools", "chassis_build", "chassis_compilers", "pypi")


def write_workspaces(checkout: Path, team: Path, outer: Path) -> None:
    """Writes module `team`, with the models, and workspace `outer`, which depends on it and has the models as well.

    Args:
      checkout: Chassis.
      team: directory of the one.
      outer: directory of the other.
    """
    names = {"chassis": checkout, "team": team}
    # Of every Python: the model is trained by a program on the tools', which need not be the images'.
    stems = sorted(path.stem for path in (checkout / "requirements").glob("linux_*.txt"))
    locks = ", ".join(f'"@chassis//requirements:{stem}.txt": "{stem}"' for stem in stems)
    values = {"locks": locks, **{name: str(path) for name, path in names.items()}}
    for workspace in (team, outer):
        _write_model(checkout / "model", workspace)
        add_code_model(workspace)
    (outer / "borrowed").mkdir()
    (outer / "borrowed/BUILD.bazel").write_text(_BORROWED)
    shutil.copyfile(outer / "sums/model.py", outer / "borrowed/model.py")
    _write(team / "MODULE.bazel", _MODULE, values | {"name": "team"})
    _write(outer / "MODULE.bazel", _MODULE + _TEAM, values | {"name": "outer"})
    hubs = "".join(_HUB.format(name=name) for name in _HUBS)
    toolchains = '\nregister_toolchains("@chassis//platforms/toolchains:all")\n'
    (outer / "WORKSPACE").write_text(_WORKSPACE.format(**values) + hubs + toolchains)
    (team / "WORKSPACE").write_text('workspace(name = "team")\n')
    shutil.copyfile(checkout / ".bazelrc", outer / ".bazelrc")


def add_code_model(workspace: Path) -> None:
    """Adds the packages of e2e/team_workspace: a model that uses a library of its repository, which uses a wheel."""
    for package in ("ml", "sums"):
        shutil.copytree(CHECKOUT / "e2e/team_workspace" / package, workspace / package)


def _write(path: Path, text: str, values: Mapping[str, str]) -> None:
    path.write_text(text.format(**values))


def _write_model(source: Path, workspace: Path) -> None:
    """The model's package; its labels of Chassis say so, all else is the same."""
    shutil.copytree(source, workspace / "model")
    build = workspace / "model/BUILD.bazel"
    build.write_text(re.sub(r'"//(chassis|platforms|rules)\b', r'"@chassis//\1', build.read_text()))
