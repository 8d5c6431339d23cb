"""Makes a published image again: the commit, target and flags that its provenance names, built in a clone of this
repository with an output base of its own.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from chassis.declaration.platforms import MACHINES
from chassis.oci.descriptor import read_json
from chassis.oci.layout_reader import LayoutReader
from chassis.trust.comparison import ImageRecord
from chassis.trust.errors import RebuildError
from chassis.trust.statement import BUILD_TYPE, PROVENANCE, REBUILD, Statement

_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_TARGET = re.compile(r"(@@?[\w.+~-]*)?//[^\s:]*:[^\s:]+")
_PLATFORM = re.compile(r"(@@?[\w.+~-]*)?//[\w/.+-]*:[\w/.+-]+")
_HOST = re.compile(r"@platforms//host:host|@local_config_platform//:host|@bazel_tools//tools:host_platform")
"""The build machine's own platform, as versions of Bazel name it, which `--platforms` need not say."""

_VALUE = re.compile(r"[\w.+-]*")
_FLAGS = {"bytecode": "--@chassis//rules:bytecode", "chunk_size": "--@chassis//rules:chunk_size"}
_FLAGS |= {"compression": "--@chassis//rules:compression"}
_NO_CACHES = ("--disk_cache=", "--remote_cache=", "--remote_executor=")
"""What a cache gives was made by whoever may write into it; an engine has one, too."""

_WITHHELD = ("BUILD_", "RUNFILES_", "JAVA_RUNFILES", "PYTHON", "TEST_", "GIT_", "COSIGN_")
"""Variables of whoever asks that the build does not get: it runs what the commit says, and is not told the password of
the key that it is attested with."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """What provenance says of a build: the commit, where it may be had, the target, and the flags."""

    commit: str
    source: str
    target: str
    flags: tuple[str, ...]


def recipe_of(statement: Statement, where: str) -> Recipe:
    """The recipe in a statement of provenance.

    Raises:
      RebuildError: it is not of an image of these rules, or names no commit.
    """
    try:
        definition = statement.predicate["buildDefinition"]
        if definition["buildType"] != BUILD_TYPE:
            raise RebuildError(f"{where}: its provenance is of another kind of build, {definition['buildType']!r}")
        parameters = definition["externalParameters"]
        target = _checked(parameters["target"], _TARGET, f"{where}: target")
        commits = [one for one in definition["resolvedDependencies"] if one.get("name") == "commit"]
        commit = str(commits[0]["digest"]["gitCommit"]) if commits else ""
        flags = tuple(_flags(parameters, where))
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise RebuildError(f"{where}: its provenance lacks what a build needs: {error!r}") from None
    if not commit:
        raise RebuildError(
            f"{where}: its provenance names no commit\n  Push it from a build with --stamp, and with STABLE_GIT_COMMIT "
            "in the workspace's status."
        )
    if not _COMMIT.fullmatch(commit):
        raise RebuildError(
            f"{where}: its provenance names the commit {commit[:80]!r}; a commit has 40 hexadecimal digits\n  What was "
            "built from a changed checkout cannot be made again: push it from a clean one."
        )
    return Recipe(commit, str(commits[0].get("uri", "")), target, (*flags, "--stamp"))


def _flags(parameters: Mapping[str, Any], where: str) -> Iterator[str]:
    name = parameters["platform"].get("name", "")
    # An older Chassis did not name the build machine's own.
    if not name or _HOST.fullmatch(name):
        _check_machine(str(parameters["platform"]["architecture"]), where)
    else:
        yield "--platforms=" + _checked(name, _PLATFORM, f"{where}: platform")
    yield "--@chassis//rules:python=" + _checked(parameters["python"], _VALUE, f"{where}: python")
    for name, value in sorted(parameters["flags"].items()):
        if name not in _FLAGS:
            raise RebuildError(f"{where}: its provenance has the flag {name!r}, which this version does not know")
        text = str(value).lower() if isinstance(value, bool) else str(value)
        yield f"{_FLAGS[name]}={_checked(text, _VALUE, f'{where}: flag {name}')}"


def _check_machine(architecture: str, where: str) -> None:
    if MACHINES[architecture].machine != platform.machine():
        raise RebuildError(
            f"{where}: it was built for its build machine's own platform, {architecture}, and this machine is "
            f"{platform.machine()}\n  Build it again on Linux on {MACHINES[architecture].machine}."
        )


def _checked(value: object, form: re.Pattern[str], what: str) -> str:
    text = str(value)
    if not form.fullmatch(text):
        raise RebuildError(f"{what}: {text[:80]!r} in its provenance is not of its form")
    return text


@dataclass(frozen=True, slots=True)
class Rebuilder:
    """Builds recipes from the repository that `workspace` is in.

    `bazel` is the program, None for the workspace's own `bazelw`, else `bazel`; `options` are added to each build.
    """

    workspace: Path
    bazel: Path | None = None
    options: tuple[str, ...] = ()

    def build(self, recipe: Recipe, where: str) -> ImageRecord:
        """Builds; what Bazel says goes to standard error. All that was written for it is removed.

        Raises:
          RebuildError: the commit is not in the repository, or the build fails.
        """
        root = Path(_git(self.workspace, "rev-parse", "--show-toplevel"))
        below = _git(self.workspace, "rev-parse", "--show-prefix")
        self._check_commit(root, recipe, where)
        with _folder() as folder:
            checkout = folder / "checkout"
            _git(root, "clone", "--quiet", "--shared", "--no-checkout", str(root), str(checkout))
            _git(checkout, "checkout", "--quiet", "--detach", recipe.commit)
            workspace = checkout / below
            if not workspace.is_dir():
                raise RebuildError(f"{where}: commit {recipe.commit} has no directory {below}")
            return self._bazel_build(folder, workspace, recipe)

    def _check_commit(self, root: Path, recipe: Recipe, where: str) -> None:
        found = subprocess.run(
            ["git", "-C", str(root), "cat-file", "-e", f"{recipe.commit}^{{commit}}"],
            capture_output=True,
            check=False,
        )
        if found.returncode:
            source = recipe.source.removeprefix("git").removeprefix("+")
            remedy = f"fetch it from {source}" if source else "fetch it, or run this in the repository that it is of"
            raise RebuildError(
                f"{where}: its provenance names commit {recipe.commit}, which the repository {root} does not have\n"
                f"  {remedy[0].upper()}{remedy[1:]}."
            )
        # The build runs what the commit says, as whoever asks for it. A fetched proposal is in the repository, too.
        refs = ["--count=1", f"--contains={recipe.commit}", "refs/heads", "refs/remotes", "refs/tags"]
        if not _git(root, "for-each-ref", *refs) and not _is_ancestor(root, recipe.commit):
            raise RebuildError(
                f"{where}: its provenance names commit {recipe.commit}, which is on no branch or tag of the repository "
                f"{root}\n  Its build would run as you. Fetch the branch that it is on, or check it out if you trust it"
            )

    def _bazel_build(self, folder: Path, workspace: Path, recipe: Recipe) -> ImageRecord:
        bazel = [str(self._program(workspace)), f"--output_base={folder / 'output'}", "--max_idle_secs=60"]
        events = folder / "events.json"
        targets = [recipe.target, recipe.target + ".provenance"]
        options = [*recipe.flags, *_NO_CACHES, f"--build_event_json_file={events}", *self.options]
        environment = {key: value for key, value in os.environ.items() if not key.startswith(_WITHHELD)}
        command = [*bazel, "build", *options, "--", *targets]
        try:
            done = subprocess.run(
                command, cwd=workspace, env=environment, stdin=subprocess.DEVNULL, stdout=sys.stderr, check=False
            )
        except OSError as error:
            raise RebuildError(f"{bazel[0]}: cannot be started: {error.strerror}") from None
        try:
            if done.returncode:
                raise RebuildError(
                    f"commit {recipe.commit}: bazel build {' '.join(recipe.flags)} {recipe.target} failed with status "
                    f"{done.returncode}; what it says is above"
                )
            return _read_outputs(events, recipe)
        finally:
            subprocess.run([*bazel, "shutdown"], cwd=workspace, env=environment, capture_output=True, check=False)

    def _program(self, workspace: Path) -> Path:
        if self.bazel:
            return self.bazel
        own = workspace / "bazelw"
        found = str(own) if own.is_file() else shutil.which("bazel") or shutil.which("bazelisk")
        if not found:
            raise RebuildError("no Bazel: the commit has no bazelw, and PATH no bazel; name one with --bazel")
        return Path(found)


def _read_outputs(events: Path, recipe: Recipe) -> ImageRecord:
    files = list(_output_files(events))
    layouts = {file.parent for file in files if file.name == "oci-layout"}
    provenance = [file for file in files if file.name.endswith(".provenance.json")]
    if len(layouts) != 1 or len(provenance) != 1:
        raise RebuildError(f"{recipe.target}: is not an image at commit {recipe.commit}; its provenance says it is one")
    layout = LayoutReader(layouts.pop())
    manifest, _ = layout.image()
    return ImageRecord(manifest.data, layout.document(manifest.blobs[0]), read_json(provenance[0])["predicate"])


def _output_files(events: Path) -> Iterator[Path]:
    """The files that Bazel's build events name."""
    for line in events.read_text().splitlines():
        for file in json.loads(line).get("namedSetOfFiles", {}).get("files", ()):
            if str(file.get("uri", "")).startswith("file:"):
                yield Path(unquote(urlsplit(file["uri"]).path))


def _is_ancestor(root: Path, commit: str) -> bool:
    command = ["git", "-C", str(root), "merge-base", "--is-ancestor", commit, "HEAD"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _git(folder: Path, *arguments: str) -> str:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    command = ["git", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    except OSError as error:
        raise RebuildError(f"git: cannot be started: {error.strerror}") from None
    if done.returncode:
        raise RebuildError(f"{folder}: git {arguments[0]} failed: {done.stderr.strip()[:500]}")
    return done.stdout.strip()


@contextmanager
def _folder() -> Iterator[Path]:
    """A directory for a build, which is removed with what Bazel made read-only in it."""
    folder = Path(tempfile.mkdtemp(prefix="chassis-rebuild-"))
    try:
        yield folder
    finally:
        for directory, _, _ in os.walk(folder):
            Path(directory).chmod(stat.S_IRWXU)
        shutil.rmtree(folder)


def provenance_of(statements: Sequence[Statement], where: str) -> Statement:
    """The provenance among statements that a key signed; that of a commit if there are several.

    Raises:
      RebuildError: there is none.
    """
    found = [one for one in statements if one.predicate_type == PROVENANCE]
    if not found:
        raise RebuildError(f"{where}: has no signed provenance, which says what to build")
    return max(found, key=_names_commit)


def _names_commit(statement: Statement) -> bool:
    try:
        return any(one["name"] == "commit" for one in statement.predicate["buildDefinition"]["resolvedDependencies"])
    except (KeyError, TypeError):
        return False


def rebuild_statement(digest: str, recipe: Recipe, options: Sequence[str] = ()) -> Statement:
    """That the image `digest` was made again from a recipe, and is the same: the same bytes for the same image.

    `options` are what was added to the build, such as a cache, for whoever judges the statement.
    """
    predicate = {
        "commit": {"gitCommit": recipe.commit},
        "flags": list(recipe.flags),
        "options": list(options),
        "result": "SAME",
        "target": recipe.target,
    }
    return Statement("", digest, REBUILD, predicate)
