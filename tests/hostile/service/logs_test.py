"""Attacks by what a build writes: on terminals, on readers, and on the service's memory."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from chassis.service.job_log import JobLog
from chassis.service.printable import printable
from tests.hostile.service.callers import ask, ended, job
from tests.service.service_process import ServiceProcess

_OBEYED = ["\x1b", "\r", "\x08", "\x07", "\x9b", "\u202e", "\u2066", "\u200b", "\u2028", "\x85", "\x0b", "\x0c", "\x00"]


def test_a_terminal_obeys_nothing_of_a_log_or_a_message(tmp_path: Path) -> None:
    with ServiceProcess(tmp_path / "state") as service:
        done = ended(service, job(service, name="loud-cats"))
        message = str(done["status"]["message"])
        log = (service.state / "logs" / f"{done['job_id']}.log").read_bytes().decode()
        listed = json.dumps(ask(service, "GET", "/api/jobs").document, ensure_ascii=False)
    for text in (message, log, listed):
        assert not any(char in text for char in _OBEYED), text
    assert "\\x1b[2Jforged\\rpushed" in message


def test_a_build_cannot_write_the_services_lines(tmp_path: Path) -> None:
    with ServiceProcess(tmp_path / "state") as service:
        done = ended(service, job(service, name="loud-cats"))
        log = (service.state / "logs" / f"{done['job_id']}.log").read_text()
    lines = log.split("\n")
    assert lines[0] == "building loud-cats"
    assert lines[1].startswith("| error: ")
    assert lines[2] == "| pushed in 0.1 s"
    # The reason, which the service writes, quotes the build: the first of its lines says so.
    assert lines[3].startswith("the build failed (status 1): error: ")
    assert lines[4:] == ["| pushed in 0.1 s", ""]


def test_every_kind_of_line_end_and_control_character_is_shown(tmp_path: Path) -> None:
    with JobLog(tmp_path / "log") as log:
        for char in _OBEYED:
            log.output(f"a{char}pushed in 1 s")
        log.output("a\r\nb\tc\n")
        log.output("\ud800 é 猫 🐈")
    written = (tmp_path / "log").read_text()
    assert all(line.startswith("| ") for line in written.splitlines())
    assert len(written.splitlines()) == len(_OBEYED) + 3
    assert written.endswith("| a\n| b\tc\n| \\ud800 é 猫 🐈\n")
    assert printable("plain é\n\tx") == "plain é\n\tx"


def test_secrets_are_hidden_before_escapes_are_shown(tmp_path: Path) -> None:
    with JobLog(tmp_path / "log", ["pass\tword\x1b"]) as log:
        log.output("it is pass\tword\x1b!")
    assert (tmp_path / "log").read_text() == "| it is ***!\n"


def test_a_log_is_no_way_out_by_a_link(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (tmp_path / "log").symlink_to(victim)
    try:
        JobLog(tmp_path / "log")
    except OSError:
        pass
    else:
        raise AssertionError("the link was followed")
    assert victim.read_text() == "mine"


def test_accounts_in_urls_are_hidden_by_their_place_and_not_by_their_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A build that writes guesses of an index's password would else see which of them is hidden."""
    monkeypatch.setenv("PIP_INDEX_URL", "https://ann:correct-horse@index.example/simple")
    with JobLog(tmp_path / "log") as log:
        log.output("guesses: wrong-horse correct-horse other-horse")
        log.line("no answer from https://ann:correct-horse@index.example/simple, http://a.example:80/@c")
        log.line("nor from https://a-token@index.example/simple and https://a-token:@index.example/simple")
    guesses, said, tokens = (tmp_path / "log").read_text().splitlines()
    assert guesses == "| guesses: wrong-horse correct-horse other-horse"
    assert said == "no answer from https://***@index.example/simple, http://a.example:80/@c"
    assert tokens == "nor from https://***@index.example/simple and https://***@index.example/simple"
