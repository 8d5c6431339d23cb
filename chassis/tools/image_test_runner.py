"""chassis_test's runner: starts an image from its own root file system and compares its answers with case
files."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from chassis.command_line.run import run_main
from chassis.errors import ChassisError
from chassis.image_test.case_file import read_cases
from chassis.image_test.image_check import LOG_NAME, Outcome, Plan, check_image
from chassis.image_test.junit import Result, write_report
from chassis.image_test.sandbox import temporary_directory
from chassis.oci.file_tree import remove_tree

FLAGS = flags.FLAGS
flags.DEFINE_string("image", None, "OCI image layout directory to test.", required=True)
flags.DEFINE_multi_string("case", [], "Case file, JSON; repeated.")
flags.DEFINE_string("bwrap", "bwrap", "bubblewrap's program.")
flags.DEFINE_string("emulator", "", "Static qemu program; empty if the image is for this machine's CPU.")
flags.DEFINE_string("emulator_cpu", "", "The CPU that the emulator plays, such as cortex-a57.")
flags.DEFINE_float("tolerance", 1e-6, "The most that a number may differ by, absolutely and relatively.", lower_bound=0)
flags.DEFINE_float("timeout", 120.0, "Seconds that the server may take to be ready.", lower_bound=0)
flags.DEFINE_float("case_timeout", 120.0, "Seconds that a case may take.", lower_bound=0)
flags.DEFINE_float("shutdown_timeout", 30.0, "Seconds that the server may take to end after Shutdown.", lower_bound=0)


def main(argv: Sequence[str]) -> int:
    """Exit status 0 if every case is answered as expected and the server ends well, else 1."""
    del argv
    signal.signal(signal.SIGTERM, _terminated)
    name = os.environ.get("TEST_TARGET", "chassis_test")
    report = os.environ.get("XML_OUTPUT_FILE")
    folder = temporary_directory()
    try:
        outcome = _check(folder)
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


def _check(folder: Path) -> Outcome:
    cases = [case for file in FLAGS.case for case in read_cases(Path(file))]
    plan = Plan(
        layout=Path(FLAGS.image),
        bwrap=Path(FLAGS.bwrap),
        cases=cases,
        emulator=Path(FLAGS.emulator) if FLAGS.emulator else None,
        emulator_cpu=FLAGS.emulator_cpu,
        tolerance=FLAGS.tolerance,
        startup_seconds=FLAGS.timeout,
        case_seconds=FLAGS.case_timeout,
        shutdown_seconds=FLAGS.shutdown_timeout,
    )
    return check_image(plan, folder, lambda line: print(line, flush=True))


def _keep_log(log: Path) -> None:
    """Leaves the whole log where Bazel collects a test's files, `outputs.zip` among its logs."""
    outputs = os.environ.get("TEST_UNDECLARED_OUTPUTS_DIR")
    if outputs and log.is_file():
        shutil.copyfile(log, Path(outputs) / LOG_NAME)


def _terminated(*_: object) -> None:
    raise ChassisError("stopped by SIGTERM, such as Bazel sends when a test's time is up")


if __name__ == "__main__":
    run_main(main)
