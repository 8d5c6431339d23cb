"""Makes a workspace with a model, or adds a model to one: `bazel run @chassis//:init -- [--framework=sklearn] DIR`."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from chassis.command_line.run import caller_path, run_main
from chassis.errors import ChassisError
from chassis.new_workspace.origin import Origin, named_origin, origin_of
from chassis.new_workspace.plan import LOCKS, REQUIREMENTS, Plan, frameworks, plan, write
from chassis.packed_model.hub_contents import missing_from, read_hub
from chassis.packed_model.locks import write_locks

FLAGS = flags.FLAGS
flags.DEFINE_enum("framework", "python", frameworks(), "What the model is made with.")
flags.DEFINE_string(
    "chassis",
    None,
    "Where the workspace has Chassis from: a checkout's directory, ARCHIVE_URL#sha256-…, git+REMOTE#COMMIT or "
    "registry+URL; by default from where this one is.",
)
flags.DEFINE_bool("yes", False, "Write without asking.")
flags.DEFINE_bool("locks", True, "Make the locks of wheels, which asks the Python index.")


def main(argv: Sequence[str]) -> int:
    """Shows what it is to write if something is there already, asks, and writes."""
    if len(argv) != 2:
        raise ChassisError(f"name one directory: bazel run @chassis//:init -- DIR; found {len(argv) - 1}")
    running = Path(os.environ.get("BUILD_WORKSPACE_DIRECTORY", "."))
    directory = Path(os.path.normpath(caller_path(argv[1]).absolute()))

    def origin(workspace: Path) -> Origin:
        found = origin_of(running, workspace)
        return named_origin(FLAGS.chassis, found.version, workspace, caller_path("")) if FLAGS.chassis else found

    planned = plan(directory, FLAGS.framework, origin, _locks if FLAGS.locks else lambda _: {})
    for path in planned.kept:
        print(f"{path.relative_to(planned.workspace)} is there and stays as it is")
    if not planned.changes:
        print(f"{planned.workspace} has all of it")
    elif not _agreed(planned):
        print("nothing was written", file=sys.stderr)
        return 1
    write(planned.changes)
    _say_next(planned, running)
    return 0


def _locks(requirements: Sequence[str]) -> dict[str, str]:
    """The locks of requirements, by their paths in a workspace."""
    print(f"locking {', '.join(requirements)} for {', '.join(LOCKS)} …", flush=True)
    with tempfile.TemporaryDirectory(prefix="chassis-init-") as name:
        staged = Path(name)
        file = staged / REQUIREMENTS
        file.parent.mkdir(parents=True)
        file.write_text("".join(f"{line}\n" for line in requirements))
        try:
            write_locks(staged, requirements, LOCKS, inputs=REQUIREMENTS, command="bazel run //requirements:locks")
        except ChassisError as error:
            raise ChassisError(f"{error}\n  to leave the locks for later: --nolocks") from error
        return {f"requirements/{lock}.txt": (staged / f"requirements/{lock}.txt").read_text() for lock in LOCKS}


def _agreed(planned: Plan) -> bool:
    """Whether it may be written: nothing was there, or somebody says so who has seen what changes."""
    if not planned.asks:
        return True
    for change in planned.changes:
        print(change.shown(planned.workspace))
    if FLAGS.yes:
        return True
    if not sys.stdin.isatty():
        print("to write this: the same command with --yes", file=sys.stderr)
        return False
    return input(f"write this into {planned.workspace}? [y/N] ").strip().lower() in ("y", "yes")


def _say_next(planned: Plan, running: Path) -> None:
    for change in planned.changes:
        print(change.path.relative_to(planned.workspace))
    contents = read_hub(planned.workspace, planned.hub)
    if contents and (lines := missing_from(contents, planned.requirements)):
        print("\n".join(["", *lines]))
        print(f"add it to the requirements that {', '.join(contents.locks)} are made from, and run: {contents.renew}")
    bazelw = running / "bazelw"
    bazel = "bazel" if shutil.which("bazel") or not bazelw.is_file() else str(bazelw)
    label = planned.label
    print(f"\ncd {planned.workspace}")
    if planned.requirements and not contents:
        print(f"{bazel} run //requirements:locks")
    print(f"{bazel} test {label}/...            # the image, on each of two CPUs")
    print(f"{bazel} run {label}:image.serve     # to ask it something")


if __name__ == "__main__":
    run_main(main, positional=True)
