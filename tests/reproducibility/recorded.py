"""The digests of an index's images, by platform."""

from __future__ import annotations

import json
from pathlib import Path

# In the order of //model:index, whose GPU images have the same platform in OCI's words.
PLATFORMS = ("amd64", "arm64", "amd64_gpu", "arm64_gpu")


def image_digests(layout: Path) -> dict[str, str]:
    """Reads an OCI layout whose index has one image for each of `PLATFORMS`."""
    entry = json.loads((layout / "index.json").read_bytes())["manifests"][0]
    index = json.loads((layout / "blobs/sha256" / entry["digest"].removeprefix("sha256:")).read_bytes())
    digests = dict(zip(PLATFORMS, (image["digest"] for image in index["manifests"]), strict=True))
    for (platform, _), image in zip(digests.items(), index["manifests"], strict=True):
        if image["platform"]["architecture"] != platform.partition("_")[0]:
            raise ValueError(f"//model:index has {image['platform']} in the place of {platform}")
    return digests
