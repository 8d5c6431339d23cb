"""What a person sees of a push: in a terminal, a real one, and elsewhere."""

from __future__ import annotations

import os
import pty
import re
import struct
import subprocess
from fcntl import ioctl
from pathlib import Path
from termios import TIOCSWINSZ

from tests.publishing.fault_proxy import FaultProxy, Harm, Request
from tests.publishing.push_tool import tool_command, tool_environment
from tests.publishing.registry_server import RegistryServer
from tests.publishing.sample_images import sample_image

KIB = 1 << 10
COLUMNS = 60
LIMIT_S = 60


def shown(*arguments: str) -> tuple[str, str]:
    """What the push tool writes to a terminal, and to its standard output, which is a pipe."""
    terminal, end = pty.openpty()
    ioctl(end, TIOCSWINSZ, struct.pack("HHHH", 24, COLUMNS, 0, 0))
    process = subprocess.Popen(
        tool_command("push", *arguments), env=tool_environment(), stdout=subprocess.PIPE, stderr=end, text=True
    )
    os.close(end)
    parts = []
    try:
        while data := os.read(terminal, 1 << 16):
            parts.append(data)
    except OSError:  # what Linux says if the other end is closed
        pass
    out, _ = process.communicate(timeout=LIMIT_S)
    os.close(terminal)
    assert process.returncode == 0, b"".join(parts)
    return b"".join(parts).decode(), out


def drawn(text: str) -> str:
    """What is left on the terminal in the end: a screen of lines, for the two sequences that the tool uses."""
    lines, row = [""], 0
    for piece in re.split(r"(\x1b\[\d*[AJ]|\r|\n)", text):
        if piece == "\n":
            row += 1
            lines += [""] * (row == len(lines))
        elif match := re.fullmatch(r"\x1b\[(\d*)([AJ])", piece):
            row = row - int(match[1]) if match[2] == "A" else row
            lines = [*lines[:row], ""] if match[2] == "J" else lines
        elif piece != "\r":
            lines[row] += piece
    return "\n".join(lines)


def test_a_terminal_shows_the_whole_and_each_layer_on_its_way(registry: RegistryServer, tmp_path: Path) -> None:
    layout, digest = sample_image(tmp_path / "image", 3_000 * KIB, 2_000 * KIB, 10)

    def rule(request: Request) -> Harm | None:
        return Harm(slow=400_000, slow_seconds=1.0) if request.is_blob_data() and request.size > KIB else None

    with FaultProxy(registry.address, rule) as proxy:
        text, out = shown(f"--image={layout}", f"--repository={proxy.address}/terminal", "--tag=v1")
    assert out == digest + "\n"
    assert re.search(r"[\d.]+ [kM]?B of 5\.2 MB \(\d+ %\), [\d.]+ [kM]?B/s, \d blobs left", text)
    names = {name for name in re.findall(r"  ([0-9a-f]{12}) [\d.]+ [kM]?B of [\d.]+ MB \(\d+ %\)", text)}
    assert len(names) == 2
    assert max(len(line) for line in re.split(r"\r\n|\x1b\[\d*[AJ]", text) if " of " in line) < COLUMNS
    left = drawn(text)
    assert " of " not in left
    assert [line.partition(" ")[0] for line in left.splitlines()[:4]] == ["uploaded"] * 4
    assert "tag v1 set" in left


def test_elsewhere_there_is_a_line_a_blob(registry: RegistryServer, tmp_path: Path) -> None:
    layout, digest = sample_image(tmp_path / "image", 300 * KIB, 10, seed=1)
    command = tool_command("push", f"--image={layout}", f"--repository={registry.address}/plain", "--tag=v1")
    done = subprocess.run(command, env=tool_environment(), capture_output=True, text=True, timeout=LIMIT_S, check=True)
    assert done.stdout == digest + "\n"
    assert "\x1b" not in done.stderr
    assert "\r" not in done.stderr
    lines = done.stderr.splitlines()
    assert all(re.fullmatch(r"uploaded [0-9a-f]{12} [\d.]+ k?B", line) for line in lines[:3])
    assert re.fullmatch(
        rf"{registry.address}/plain@{digest} pushed in [\d.]+ s: "
        r"blobs: 3 uploaded \([\d.]+ kB\), 0 mounted \(0 B\), 0 skipped \(0 B\)",
        lines[3],
    )
    assert lines[4:] == ["tag v1 set"]
