"""docs/tutorial.md: its Python runs from top to bottom and prints what the page shows."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from tests.service.service_process import ServiceProcess

_FENCE = re.compile(r"^```(\w+)\n(.*?)^```", re.DOTALL | re.MULTILINE)
# What differs from run to run, and from lock to lock.
_VARYING = ((r"sha256:[0-9a-f]{64}", "sha256:…"), (r"==[0-9.]+", "==…"), (r"[ \t]+$", ""))


def _plain(text: str) -> str:
    for pattern, said in _VARYING:
        text = re.sub(pattern, said, text, flags=re.MULTILINE)
    return text


def test_the_guide_shows_what_its_code_prints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    blocks = _FENCE.findall(Path(os.environ["GUIDE"]).read_text())
    (tmp_path / "MODULE.bazel").write_text("")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    checked = 0
    with ServiceProcess(tmp_path / "service" / "state") as service:
        for number, (language, source) in enumerate(blocks):
            if language != "python":
                continue
            exec(compile(source.replace("http://localhost:5000", service.url), "<guide>", "exec"), names)
            printed = capsys.readouterr().out
            following, shown = blocks[number + 1] if number + 1 < len(blocks) else ("", "")
            assert _plain(printed) == (_plain(shown) if following == "text" else "")
            checked += following == "text"
    assert checked == 7
    assert (tmp_path / "digits.tar").stat().st_size > 1000
