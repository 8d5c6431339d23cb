#!/usr/bin/env python3
"""Builds two models' images again and again, each time with something else that must make no difference.

    tests/reproducibility/matrix.py              every row
    tests/reproducibility/matrix.py --short      those of the test command
    tests/reproducibility/matrix.py cached cold  these rows, after the first
    tests/reproducibility/matrix.py --list       what the rows are
    tests/reproducibility/matrix.py --leak       lets differences into the image; passes if every row notices its own

User namespaces take the place of machines: each has a user, a home directory, a host name, a checkout and output bases
of its own, below ~/.cache/chassis, and is removed afterwards. Each row's images have to have the first row's digests,
and the first has that of digests.json. Repositories of a second machine have to be the same trees, with names, modes
and contents.

Packages that Bazel fetched stay in ~/.cache/chassis/reproducibility-repositories for the next time.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import comparison
import leaks
import machine
import workspaces
from machine import Machine
from rows import IMAGES, OUTER, ROWS, Row

_PLATFORM = "arm64"
_MAX_TREES = 3
_IN_NO_CACHE = "ImageLayout of "
"""A layout is links to its layers, of which a cache would hold copies (docs/layers.md): each machine makes its own."""
_DIGESTS = Path(__file__).with_name("digests.json")


class BuildFailed(Exception):
    """A row's build ended with an error."""


@dataclass
class Matrix:
    """The rows' builds in one scratch directory."""

    scratch: Path
    leak: bool
    repository_cache: str
    first: dict[str, comparison.Image] = field(default_factory=dict)
    told: Mapping[str, str] = field(default_factory=dict)
    trees: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    prepared: set[Machine] = field(default_factory=set)
    used: dict[tuple[str, str], tuple[Machine, Path]] = field(default_factory=dict)

    def run(self, row: Row) -> list[str]:
        """Builds a row; returns what is wrong with it."""
        self._prepare(row)
        started = time.monotonic()
        images, actions = self._build(row)
        digests = " ".join(image.digest.removeprefix("sha256:")[:16] for image in images.values())
        print(f"{row.name:22}{digests}  {actions}, {time.monotonic() - started:.0f} s", flush=True)
        wrong = self._wrong_cache(row, actions)
        if row.workspace != OUTER and row.machine is not ROWS[0].machine:
            wrong += self._wrong_trees(row)
        if not self.first:
            self.trees = comparison.repository_trees(self._external(row))
            if self.leak:
                self.told = images[IMAGES[0]].evidence()
            else:
                wrong += _wrong_record(images[IMAGES[0]])
        for name, image in images.items():
            first = self.first.setdefault(name, image)
            if image.digest != first.digest:
                wrong.append(f"{name} is another image: {'; '.join(first.differences(image))}")
        if not self.leak:
            return wrong
        if row.leak:
            return self._unnoticed(row, wrong, images[IMAGES[0]])
        return []

    def edit(self) -> list[str]:
        """Edits the model where the first row was built: its last layer alone may change. Returns what is wrong."""
        row, name = ROWS[0], IMAGES[0]
        source = row.machine.checkout(self.scratch) / "model/model.py"
        text = source.read_text()
        source.write_text(text.replace("_SCORE_DIGITS = 4\n", "_SCORE_DIGITS = 5\n"))
        images, actions = self._build(row)
        before, after = self.first[name].layers, images[name].layers
        changed = [number for number, pair in enumerate(zip(before, after, strict=True), 1) if len(set(pair)) == 2]
        print(f"{'edit':22}of {len(after)} layers {changed} changed  {actions}", flush=True)
        return (
            [] if changed == [len(after)] else [f"an edit of model.py must change the last layer alone, not {changed}"]
        )

    def _unnoticed(self, row: Row, wrong: Sequence[str], image: comparison.Image) -> list[str]:
        before, after = self.told, image.evidence()
        print(f"{'':22}{row.leak}: {before.get(row.leak)!r} and {after.get(row.leak)!r}")
        if row.cache == "hits":
            return [] if wrong else ["every action was a hit, though some may not be cached"]
        if before.get(row.leak) == after.get(row.leak):
            return [f"{row.leak} is the same as in the first row, so the row varies nothing"]
        return [] if wrong else [f"the image tells of its {row.leak}, and the row did not notice"]

    def _prepare(self, row: Row) -> None:
        checkout = row.machine.checkout(self.scratch)
        if row.machine not in self.prepared:
            # All machines have what was there when the first began, whatever is edited meanwhile.
            if not self.prepared:
                machine.copy_checkout(self.scratch / "snapshot")
                workspaces.add_code_model(self.scratch / "snapshot")
            machine.check_out(self.scratch / "snapshot", checkout, row.machine.umask)
            if self.leak:
                leaks.add_leaks(checkout)
            self.prepared.add(row.machine)
        outer = row.machine.directory(self.scratch) / OUTER
        if row.workspace == OUTER and not outer.exists():
            team = row.machine.directory(self.scratch) / "team"
            for folder in (team, outer):
                folder.mkdir()
            workspaces.write_workspaces(checkout, team, outer)

    def _folder(self, row: Row) -> Path:
        here = row.machine.directory(self.scratch) / OUTER
        return here if row.workspace == OUTER else row.machine.checkout(self.scratch)

    def _build(self, row: Row) -> tuple[dict[str, comparison.Image], comparison.Actions]:
        log = self.scratch / f"{row.name}.json"
        platforms = "//platforms:" if row.workspace != OUTER else "@chassis//platforms:"
        options = [*row.options, f"--platforms={platforms}{_PLATFORM}", f"--repository_cache={self.repository_cache}"]
        if row.cache == "cold" and (row.machine.name, row.workspace) in self.used:
            self._bazel(row, "clean")
        if row.cache != "cold" or self.leak:
            options.append(f"--disk_cache={self.scratch / 'cache'}")
        self.used[row.machine.name, row.workspace] = (row.machine, self._folder(row))
        names = [*IMAGES, *row.more]
        labels = [row.repository + name for name in names]
        self._bazel(row, "build", *options, f"--execution_log_json_file={log}", *labels)
        actions = comparison.read_actions(log)
        log.unlink()
        return {name: comparison.read_image(self._layout(row, name)) for name in names}, actions

    def _bazel(self, row: Row, *arguments: str) -> None:
        command = [str(row.machine.checkout(self.scratch) / "bazelw"), *arguments]
        done = row.machine.run(self.scratch, command, self._folder(row))
        if done.returncode:
            raise BuildFailed(f"bazelw {' '.join(arguments)}\n{done.stdout[-6000:]}")

    def _bin(self, row: Row) -> Path:
        """`OUTPUT_BASE/execroot/NAME/bazel-out/CONFIGURATION/bin`."""
        return (self._folder(row) / "bazel-bin").readlink()

    def _layout(self, row: Row, name: str) -> Path:
        path = name.removeprefix("//").replace(":", "/")
        if not row.repository:
            return self._bin(row) / path
        (found,) = self._bin(row).glob(f"external/{row.repository.removeprefix('@')}*/{path}")
        return found

    def _external(self, row: Row) -> Path:
        return self._bin(row).parents[4] / "external"

    def _wrong_cache(self, row: Row, actions: comparison.Actions) -> list[str]:
        executed = {name: count for name, count in actions.executed.items() if not name.startswith(_IN_NO_CACHE)}
        ran = ", ".join(f"{count} {name}" for name, count in sorted(executed.items())[:8])
        if row.cache == "hits" and executed:
            return [f"of {actions}; run were {ran}"]
        if row.cache == "hits" and not actions.hits:
            return ["no action was asked for"]
        if row.cache == "cold" and actions.hits and not self.leak:
            return [f"it was to be cold, and {actions.hits} actions came from a cache"]
        return []

    def _wrong_trees(self, row: Row) -> list[str]:
        trees = comparison.repository_trees(self._external(row))
        shared = trees.keys() & self.trees.keys()
        wrong = [] if "_python" in " ".join(shared) else ["no repository is there in both machines"]
        for name in sorted(shared):
            one, other = self.trees[name], trees[name]
            different = sorted(path for path in one.keys() | other.keys() if one.get(path) != other.get(path))
            if different:
                path = different[0]
                wrong.append(
                    f"repository {name} has {len(different)} other files, such as {path}: "
                    f"{one.get(path)} and {other.get(path)}"
                )
        return (
            [*wrong[:_MAX_TREES], f"and {len(wrong) - _MAX_TREES} repositories more"] if wrong[_MAX_TREES:] else wrong
        )

    def close(self) -> None:
        """Ends the servers and removes all that was made."""
        for by, folder in self.used.values():
            by.run(self.scratch, [str(by.checkout(self.scratch) / "bazelw"), "shutdown"], folder)
        for path in [self.scratch, *self.scratch.rglob("*")]:
            if path.is_dir() and not path.is_symlink():
                path.chmod(0o700)
        shutil.rmtree(self.scratch)


def _wrong_record(image: comparison.Image) -> list[str]:
    recorded = json.loads(_DIGESTS.read_text())[_PLATFORM]
    if image.digest == recorded:
        return []
    return [f"{_DIGESTS.name} has {recorded}; renew it with `./bazelw run //tests/reproducibility:renew`"]


def _chosen(names: Sequence[str], short: bool) -> list[Row]:
    by_name = {row.name: row for row in ROWS}
    unknown = [name for name in names if name not in by_name]
    if unknown:
        sys.exit(f"error: no row is called {', '.join(unknown)}; the rows are {', '.join(by_name)}")
    if names:
        return [row for row in ROWS if row.name in names or row is ROWS[0]]
    return [row for row in ROWS if row.short or not short]


def main() -> int:
    """Runs the rows that the arguments name; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", metavar="ROW", help="these alone, after the first")
    parser.add_argument("--short", action="store_true", help="the rows of the test command")
    parser.add_argument("--leak", action="store_true", help="show that each row can fail")
    parser.add_argument("--list", action="store_true", help="print the rows")
    flags = parser.parse_args()
    if flags.list:
        for row in ROWS:
            what = " ".join([f"{row.workspace:9}", *filter(None, [row.repository]), *row.options])
            print(f"{row.name:22}{row.machine.name:12}{row.cache:6}{what}".rstrip())
        return 0
    chosen = _chosen(flags.rows, flags.short)
    if reason := machine.cannot_start():
        sys.exit(f"error: user namespaces take the place of other machines, and this one gives none: {reason}")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "chassis"
    cache.mkdir(parents=True, exist_ok=True)
    repositories = cache / "reproducibility-repositories"
    matrix = Matrix(Path(tempfile.mkdtemp(prefix="reproducibility-", dir=cache)), flags.leak, str(repositories))
    steps = [(row.name, functools.partial(matrix.run, row)) for row in chosen]
    if not flags.leak:
        steps.append(("edit", matrix.edit))
    failed = []
    try:
        for name, step in steps:
            try:
                wrong = step()
            except Exception as error:
                wrong = [str(error) if isinstance(error, BuildFailed) else traceback.format_exc()]
            for sentence in wrong:
                print(f"FAILED {name}: {sentence}", flush=True)
            if wrong:
                failed.append(name)
            if not matrix.first:
                break
    finally:
        matrix.close()
    print(f"{len(steps) - len(failed)} rows passed, {len(failed)} failed{': ' if failed else ''}{', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
