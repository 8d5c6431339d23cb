"""Tests of progress.py."""

from __future__ import annotations

import io

from chassis.bootstrap.progress import Progress


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_a_bar_that_is_gone_when_it_is_done() -> None:
    terminal = _Terminal()
    progress = Progress(terminal)
    progress.start("downloading")
    progress.update(5_000_000, 10_000_000)
    assert "[===============               ] 5 of 10 MB" in terminal.getvalue()
    progress.update(10_000_000, 10_000_000)
    progress.say("done")
    assert terminal.getvalue().endswith("\r\033[Kbazelw: done\n")


def test_a_log_gets_a_line_now_and_then_and_no_control_characters() -> None:
    log = io.StringIO()
    progress = Progress(log)
    progress.start("downloading")
    for done in range(0, 10_000_001, 100_000):
        progress.update(done, 10_000_000)
    assert "\r" not in log.getvalue() and "\033" not in log.getvalue()
    assert log.getvalue().count("\n") == 2


def test_nothing_to_do_is_no_division_by_zero() -> None:
    Progress(_Terminal()).update(0, 0)
