"""The home of a user; tests/any_user has one without a name, in an image."""

from __future__ import annotations

from pathlib import Path

from chassis.runtime.home import settle_user


def test_a_home_that_can_be_written_stays(tmp_path: Path) -> None:
    environment = {"HOME": str(tmp_path), "USER": "somebody"}
    settle_user(environment)
    assert environment == {"HOME": str(tmp_path), "USER": "somebody"}


def test_a_home_that_cannot_be_written_is_in_tmp(tmp_path: Path) -> None:
    environment = {"HOME": "/nowhere/at/all", "TMPDIR": str(tmp_path), "XDG_CACHE_HOME": "/mine"}
    settle_user(environment)
    home = Path(environment["HOME"])
    assert home.parent == tmp_path and home.stat().st_mode & 0o777 == 0o700
    assert environment["XDG_CACHE_HOME"] == "/mine"
    assert environment["MPLCONFIGDIR"] == f"{home}/.config/matplotlib"
