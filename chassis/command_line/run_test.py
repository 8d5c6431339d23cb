"""Tests of how executables start and end."""

import subprocess
import sys
from pathlib import Path

import pytest

_PROGRAM = """
from absl import flags
from chassis.errors import ChassisError
from chassis.command_line.run import run_main

COUNT = flags.DEFINE_integer("count", 1, "How many.")

def main(argv):
    if COUNT.value > 1:
        raise ChassisError("too many")
    if COUNT.value == -2:
        with open("/dev/full", "w") as full:
            full.write("x")
            full.flush()
    if COUNT.value == -3:
        open("/dev/null/none")
    raise KeyboardInterrupt if COUNT.value < 0 else SystemExit(COUNT.value - 1)

run_main(main)
"""


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        ([], 0, ""),
        (["--count=2"], 1, "error: too many"),
        (["--count=-1"], 130, "interrupted"),
        (["--count=-2"], 1, "error: cannot write: No space left on device\n"),
        (["--count=-3"], 1, "NotADirectoryError"),
        (["--help"], 0, "How many."),
        (["--helpfull"], 0, "How many."),
        (["--count=x"], 1, "flag --count=x"),
        (["--cuont=1"], 1, "Unknown command line flag 'cuont'. Did you mean: count"),
        (["word"], 1, "unexpected argument 'word'"),
    ],
)
def test_the_exit_status_says_how_it_ended(tmp_path: Path, arguments: list[str], status: int, said: str) -> None:
    program = tmp_path / "program.py"
    program.write_text(_PROGRAM)
    environment = {"PYTHONPATH": ":".join(path for path in sys.path if path)}
    ended = subprocess.run(
        [sys.executable, str(program), *arguments], env=environment, capture_output=True, text=True, timeout=60
    )
    assert ended.returncode == status, ended.stderr
    assert said in ended.stdout + ended.stderr
