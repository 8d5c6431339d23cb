"""Tests of tools as Bazel's persistent workers: real processes, spoken to as Bazel speaks to them."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from chassis.command_line import persistent_worker

_PROGRAM = """
import subprocess, sys
from absl import flags
from chassis.errors import ChassisError
from chassis.command_line.run import run_main

OWN = flags.DEFINE_string("own", "", "From the command line that starts the worker.")
NAME = flags.DEFINE_multi_string("name", ["nobody"], "Names.")
WAY = flags.DEFINE_string("way", None, "What happens.", required=True)

def main(argv):
    print(OWN.value, *NAME.value)
    if WAY.value == "refused":
        raise ChassisError("cannot be")
    if WAY.value == "defect":
        raise ZeroDivisionError("of its own making")
    if WAY.value == "exit":
        sys.exit("ended with words")
    if WAY.value == "child":
        subprocess.run([sys.executable, "-c", "print('from a child')"], check=True)

run_main(main)
"""


class _Worker:
    """The program, running."""

    def __init__(self, program: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(program), "--own=of the worker", persistent_worker.FLAG],
            env={"PYTHONPATH": ":".join(path for path in sys.path if path)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def send(self, text: bytes) -> None:
        """Writes to its standard input."""
        self.process.stdin.write(text)
        self.process.stdin.flush()

    def answer(self) -> dict:
        """The next line of its standard output."""
        return json.loads(self.process.stdout.readline())

    def ask(self, *arguments: str) -> dict:
        """The answer to a request."""
        self.send(_request(*arguments))
        return self.answer()


def _request(*arguments: str, **more: object) -> bytes:
    return json.dumps({"arguments": arguments, **more}).encode()


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[_Worker]:
    """A worker, ended afterwards by the end of its input."""
    (tmp_path / "program.py").write_text(_PROGRAM)
    started = _Worker(tmp_path / "program.py")
    with started.process:
        yield started
        started.process.stdin.close()
        assert started.process.wait(20) == 0


def test_each_request_has_flags_of_its_own(worker: _Worker) -> None:
    assert worker.ask("--way=well", "--name=a", "--name=b") == {
        "exitCode": 0,
        "output": "of the worker a b\n",
        "requestId": 0,
    }
    assert worker.ask("--way=well")["output"] == "of the worker nobody\n"
    assert worker.ask("--way=well", "--name=c")["output"] == "of the worker c\n"
    lacking = worker.ask("--name=d")
    assert lacking["exitCode"] == 1
    assert "way" in lacking["output"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--way=refused"], "error: cannot be\n"),
        (["--way=defect"], "ZeroDivisionError: of its own making"),
        (["--way=exit"], "ended with words"),
        (["--wya=well"], "Unknown command line flag 'wya'"),
        (["--way=well", "word"], "error: unexpected argument 'word'"),
    ],
)
def test_a_request_that_fails_ends_with_what_it_said_and_the_next_is_done(
    worker: _Worker, arguments: list[str], said: str
) -> None:
    failed = worker.ask(*arguments)
    assert failed["exitCode"] == 1
    assert said in failed["output"]
    assert worker.ask("--way=well")["exitCode"] == 0


def test_what_a_child_prints_is_no_answer(worker: _Worker) -> None:
    assert worker.ask("--way=child") == {"exitCode": 0, "output": "of the worker nobody\n", "requestId": 0}
    assert worker.process.stderr.readline() == b"from a child\n"


def test_requests_need_nothing_between_them_and_may_come_in_pieces(worker: _Worker) -> None:
    first = _request("--way=well", "--name=ä/é", requestId=7, inputs=[{"path": "a" * 200_000, "digest": "b"}])
    second = _request("--way=well", "--name=b", requestId=8)
    text = json.dumps(json.loads(first), ensure_ascii=False).encode() + second + b"\n\n"
    cut = text.index("ä".encode()) + 1  # within a character
    worker.send(text[:cut])
    worker.send(text[cut:])
    assert [worker.answer()[key] for key in ("requestId", "requestId")] == [7, 8]
    worker.send(b" \n")


def test_input_that_ends_within_a_request_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(_PROGRAM)
    broken = _Worker(tmp_path / "program.py")
    output, errors = broken.process.communicate(_request("--way=well")[:-1], timeout=20)
    assert broken.process.returncode == 1
    assert output == b""
    assert b"a request ends after" in errors
