"""A few seconds of the campaign for each kind, and that it sees what it looks for."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.hostile import campaign
from tests.hostile.kinds.kind import Finding

_SECONDS = 4.0


@pytest.mark.parametrize("name", list(campaign.KINDS))
def test_nothing_is_found_in_a_few_seconds(name: str) -> None:
    assert not campaign.campaign(name, _SECONDS, 7)


class _Weak:
    """Falls at one input of a hundred."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def make(self, chance: random.Random) -> bytes:
        return bytes([chance.randrange(100)])

    def attack(self, data: bytes) -> None:
        if data == b"\x07":
            raise Finding("fell")

    def look(self) -> None:
        pass

    def close(self) -> None:
        pass


def test_a_finding_is_shown_with_what_gives_it_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(campaign.KINDS, "weak", _Weak)
    assert campaign.campaign("weak", 60.0, 1)
    assert "--again weak:Bw==" in capsys.readouterr().err
    assert campaign.attack("weak", b"\x07")
    assert not campaign.attack("weak", b"\x08")
