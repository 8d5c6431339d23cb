"""Writes digests.json: the digest of the default model's image for each platform, as this build makes them."""

from __future__ import annotations

import json
import os
from pathlib import Path

from tests.reproducibility.recorded import image_digests


def main() -> None:
    digests = image_digests(Path(os.environ["INDEX"]))
    file = Path(os.environ["BUILD_WORKSPACE_DIRECTORY"]) / "tests/reproducibility/digests.json"
    before = json.loads(file.read_text()) if file.exists() else {}
    file.write_text(json.dumps(digests, indent=1) + "\n")
    for platform, digest in digests.items():
        print(f"{platform:12}{digest}{'' if before.get(platform) == digest else '  (new)'}")


if __name__ == "__main__":
    main()
