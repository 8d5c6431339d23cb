"""docs/clients.md: its commands and its Python print what the page shows, asked of servers of its models."""

from __future__ import annotations

import contextlib
import doctest
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy
import pytest
import tritonclient.grpc

from chassis.runtime import omi_pb2
from tests.support.running_server import RunningServer

MODELS = {"digits": "DIGITS", "nearest": "NEAREST", "words": "WORDS"}
GUIDE = Path(os.environ["GUIDE"]).read_text()
FENCES = re.findall(r"^```(\w*)\n(.*?)^```$", GUIDE, re.DOTALL | re.MULTILINE)
BLOCKS = [block for language, block in FENCES if not language]
PIXELS = json.dumps(json.loads(Path(os.environ["SEVEN"]).read_text())["input"], separators=(",", ":"))
SHORT = "[0,0,9,16,…]"


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[str, RunningServer]]:
    with contextlib.ExitStack() as stack:
        found = {}
        for name, variable in MODELS.items():
            data = {"CHASSIS_DATA": str(Path(os.environ["WEIGHTS"]).parent)}
            server = stack.enter_context(RunningServer(Path(os.environ[variable]).parent, data))
            server.wait_health("SERVING")
            found[name] = server
        yield found


def commands() -> list[tuple[str, str]]:
    """Each command of the page, and what it shows of its output."""
    found = []
    for block in BLOCKS:
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            lines = part.splitlines()
            length = next((n for n in range(1, len(lines)) if "\n".join(lines[:n]).count("'") % 2 == 0), len(lines))
            found.append(("\n".join(lines[:length]), "\n".join(lines[length:]).strip()))
    return found


COMMANDS = commands()


def test_the_page_has_commands_of_each_model() -> None:
    asked = [name for command, _ in COMMANDS for name in MODELS if f"/{name}" in command]
    assert set(asked) == set(MODELS) and len(asked) == len(COMMANDS) > 5


@pytest.mark.parametrize(("command", "shown"), COMMANDS, ids=range(len(COMMANDS)))
def test_a_command_prints_what_the_page_shows(command: str, shown: str, servers: dict[str, RunningServer]) -> None:
    if shutil.which("curl") is None:
        pytest.skip("the page's commands are curl's, and it is not on the PATH")
    (name,) = (name for name in MODELS if f"/{name}" in command)
    script = command.replace("localhost:8080", f"127.0.0.1:{servers[name].http_port}").replace(SHORT, PIXELS)
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, timeout=60)
    assert not done.returncode, done.stderr
    pattern = ".*".join(map(re.escape, shown.split("…")))
    assert re.fullmatch(pattern, done.stdout.strip(), re.DOTALL), done.stdout


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.startswith(">>>")], ids=["v2", "omi"])
def test_python_prints_what_the_page_shows(block: str, servers: dict[str, RunningServer]) -> None:
    server = servers["digits"]
    names = {
        "np": numpy,
        "tritonclient": tritonclient,
        "stub": server.omi,
        "RunRequest": omi_pb2.RunRequest,
        "InputItem": omi_pb2.InputItem,
    }
    source = block.replace("localhost:45000", f"127.0.0.1:{server.port}").replace(SHORT, PIXELS)
    test = doctest.DocTestParser().get_doctest(source, names, "guide", None, None)
    printed: list[str] = []
    results = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(test, out=printed.append)
    assert results.attempted and not results.failed, "".join(printed)
