"""The default model's image is the recorded one, to the bit, on every platform."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.reproducibility.recorded import PLATFORMS, image_digests

_RENEW = "if the change is meant, write the new digest with `./bazelw run //tests/reproducibility:renew`"


@pytest.mark.parametrize("platform", PLATFORMS)
def test_the_image_has_its_recorded_digest(platform: str) -> None:
    recorded = json.loads(Path(os.environ["DIGESTS"]).read_text())
    built = image_digests(Path(os.environ["INDEX"]))
    assert built[platform] == recorded[platform], f"//model:image for {platform}: {_RENEW}"
