"""The state directory is its owner's alone."""

import os
import stat

import pytest

from chassis.errors import ChassisError
from chassis.service.state import state_directory


def test_nobody_else_can_enter_it_whatever_its_mode_was(tmp_path):
    for name, mode in (("new", None), ("open", 0o777), ("group", 0o750)):
        if mode:
            (tmp_path / name).mkdir()
            (tmp_path / name).chmod(mode)
        assert stat.S_IMODE(state_directory(str(tmp_path / name)).stat().st_mode) == 0o700


def test_a_directory_that_another_user_has_planted_is_refused(tmp_path, monkeypatch):
    (tmp_path / "planted").mkdir(mode=0o777)
    (tmp_path / "link").symlink_to(tmp_path / "planted")
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    for name in ("planted", "link"):
        with pytest.raises(ChassisError, match="belongs to another user"):
            state_directory(str(tmp_path / name))


def test_without_a_home_there_is_no_place(monkeypatch):
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    with pytest.raises(ChassisError, match="no place for jobs"):
        state_directory()
