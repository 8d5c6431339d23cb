"""Tests of chassis.runtime.logs."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest

from chassis.runtime import logs


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level


def test_json_is_one_object_a_line_with_the_event_s_fields(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("json", "info")
    try:
        raise ValueError("no\ngood")
    except ValueError:
        logging.getLogger("x").error("it\nfailed", extra={"items": 3, "place": object}, exc_info=True)
    (line,) = capsys.readouterr().err.splitlines()
    event = json.loads(line)
    assert (event["level"], event["logger"], event["message"], event["items"]) == ("error", "x", "it\nfailed", 3)
    assert event["time"].endswith("Z")
    assert "ValueError: no\ngood" in event["traceback"]


def test_text_quotes_what_would_break_the_line(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("text", "info")
    logging.getLogger("x").info("done", extra={"seconds": 0.5, "reason": 'a "b"\nc', "empty": ""})
    line = capsys.readouterr().err
    assert line.endswith('Z INFO x: done seconds=0.5 reason="a \\"b\\"\\nc" empty=""\n')


def test_the_level_holds_for_every_logger(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("text", "warning")
    logging.getLogger("some.library").info("quiet")
    logging.getLogger("some.library").warning("heard")
    assert "heard" in (text := capsys.readouterr().err)
    assert "quiet" not in text


def test_callers_write_no_traces_by_their_headers(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("text", "info")
    logger = logging.getLogger("grpc._cython.cygrpc")
    logger.error("Invalid encoding on %s", b"\xe6")
    assert capsys.readouterr().err == ""
    logger.error("a defect")
    assert "a defect" in capsys.readouterr().err
