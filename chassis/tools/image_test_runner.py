"""chassis_test's runner: starts an image from its own root file system and compares its answers with case files; with
--update, writes them into the case files."""

from __future__ import annotations

import difflib
import functools
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from absl import flags

from chassis.command_line.run import run_main
from chassis.errors import ChassisError
from chassis.image_test.answers import formatted, updated
from chassis.image_test.case_file import Case, read_cases
from chassis.image_test.image_check import LOG_NAME, Outcome, Plan, check_image
from chassis.image_test.junit import Result, write_report
from chassis.image_test.server import temporary_directory
from chassis.oci.file_tree import remove_tree
from chassis.sandbox.ladder import NEEDS, Need, Rung, Tools
from chassis.whole_file import write_whole

FLAGS = flags.FLAGS
flags.DEFINE_string("image", None, "OCI image layout directory to test.", required=True)
flags.DEFINE_multi_string("case", [], "Case file, JSON; repeated.")
flags.DEFINE_multi_string("case_name", [], "The path of each case in the workspace, for people and for --update.")
flags.DEFINE_bool("update", False, "Write the answers into the case files, in place of what they expected.")
flags.DEFINE_string("update_command", "", "What people write for that.")
flags.DEFINE_string("bwrap", "bwrap", "bubblewrap's program.")
flags.DEFINE_string("proot", "", "PRoot's program, for a machine without user namespaces.")
flags.DEFINE_multi_enum("needs", [], sorted(NEEDS), "What the sandbox has to do, or the test fails.")
flags.DEFINE_multi_enum(
    "rung", [], [rung.name.lower() for rung in Rung], "A way to make the sandbox, in place of the first that works."
)
flags.DEFINE_string("emulator", "", "Static qemu program; empty if the image is for this machine's CPU.")
flags.DEFINE_string("emulator_cpu", "", "The CPU that the emulator plays, such as cortex-a57.")
flags.DEFINE_float("tolerance", 1e-6, "The most that a number may differ by, absolutely and relatively.", lower_bound=0)
flags.DEFINE_float("timeout", 120.0, "Seconds that the server may take to be ready.", lower_bound=0)
flags.DEFINE_float("case_timeout", 120.0, "Seconds that a case may take.", lower_bound=0)
flags.DEFINE_float("shutdown_timeout", 30.0, "Seconds that the server may take to end after Shutdown.", lower_bound=0)


def _say(line: str) -> None:
    print(line, flush=True)


def main(argv: Sequence[str]) -> int:
    """Exit status 0 if every case is answered as expected and the server ends well, else 1."""
    del argv
    signal.signal(signal.SIGTERM, _terminated)
    name = os.environ.get("TEST_TARGET", "chassis_test")
    report = os.environ.get("XML_OUTPUT_FILE")
    folder = temporary_directory()
    try:
        if FLAGS.update:
            return _update(folder)
        outcome = _check(_cases(), folder)
    except ChassisError as error:
        if report:
            write_report(Path(report), name, [Result("server", 0.0, str(error))], "")
        raise
    finally:
        _keep_log(folder / LOG_NAME)
        remove_tree(folder)
    if report:
        write_report(Path(report), name, outcome.results, outcome.log)
    failed = [result.name for result in outcome.results if result.failure]
    if failed:
        print("--- server's log ---", outcome.log.rstrip("\n") or "(empty)", "--- end of the log ---", sep="\n")
    print(f"{len(outcome.results) - len(failed)} passed, {len(failed)} failed", flush=True)
    return 1 if failed else 0


def _cases() -> list[list[Case]]:
    """The cases of each file."""
    if FLAGS.case_name and len(FLAGS.case_name) != len(FLAGS.case):
        raise ChassisError(f"{len(FLAGS.case_name)} of --case_name for {len(FLAGS.case)} of --case")
    names = FLAGS.case_name or FLAGS.case
    return [read_cases(Path(file), name) for file, name in zip(FLAGS.case, names, strict=True)]


def _check(cases: Sequence[Sequence[Case]], folder: Path, say: Callable[[str], None] = _say) -> Outcome:
    plan = Plan(
        layout=Path(FLAGS.image),
        tools=Tools(Path(FLAGS.bwrap), Path(FLAGS.proot) if FLAGS.proot else None),
        cases=[case for file in cases for case in file],
        emulator=Path(FLAGS.emulator) if FLAGS.emulator else None,
        emulator_cpu=FLAGS.emulator_cpu,
        needs=functools.reduce(Need.__or__, (NEEDS[name] for name in FLAGS.needs), Need.NOTHING),
        rungs=tuple(Rung[name.upper()] for name in FLAGS.rung) or tuple(Rung),
        tolerance=FLAGS.tolerance,
        startup_seconds=FLAGS.timeout,
        case_seconds=FLAGS.case_timeout,
        shutdown_seconds=FLAGS.shutdown_timeout,
        update_command=FLAGS.update_command,
    )
    return check_image(plan, folder, say)


def _update(folder: Path) -> int:
    """Writes the answers into those case files whose cases they do not fit, and shows what changed."""
    cases = _cases()
    shown: list[str] = []
    outcome = _check(cases, folder, shown.append)
    answers = list(outcome.answers)
    workspace = Path(os.environ.get("BUILD_WORKSPACE_DIRECTORY", "."))
    unanswered = 0
    for name, of_file in zip(FLAGS.case_name, cases, strict=True):
        own, answers = answers[: len(of_file)], answers[len(of_file) :]
        unanswered += own.count(None)
        path = workspace / name
        before = path.read_text(encoding="utf-8")
        document = json.loads(before)
        after = updated(document, of_file, own, FLAGS.tolerance, outcome.declared.outputs)
        if after == document:
            print(f"{name}: as it was")
            continue
        text = formatted(after)
        write_whole(path, text.encode())
        lines = difflib.unified_diff(before.splitlines(), text.splitlines(), f"a/{name}", f"b/{name}", lineterm="")
        print("\n".join(lines), flush=True)
    if unanswered:
        print("\n".join(shown), outcome.log, sep="\n", file=sys.stderr)
        raise ChassisError(f"{unanswered} cases have no answer: their files stay as they were")
    return 0


def _keep_log(log: Path) -> None:
    """Leaves the whole log where Bazel collects a test's files, `outputs.zip` among its logs."""
    outputs = os.environ.get("TEST_UNDECLARED_OUTPUTS_DIR")
    if outputs and log.is_file():
        shutil.copyfile(log, Path(outputs) / LOG_NAME)


def _terminated(*_: object) -> None:
    raise ChassisError("stopped by SIGTERM, such as Bazel sends when a test's time is up")


if __name__ == "__main__":
    run_main(main)
