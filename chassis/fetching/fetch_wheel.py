"""Fetches one locked wheel with pip and reads its metadata: what a wheel repository runs.

Runs on the bare interpreter with pip's wheel on the path, before any other package is there: it imports the standard
library and what pip carries (`pip._vendor.packaging`), nothing of Chassis. Index, proxy, certificates and credentials
are those that pip is configured with; nothing else of its configuration counts.
"""

from __future__ import annotations

import argparse
import errno
import json
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from email.message import Message
from email.parser import HeaderParser
from pathlib import Path

from pip._internal.configuration import Configuration
from pip._internal.exceptions import ConfigurationError
from pip._vendor.packaging.markers import UndefinedEnvironmentName
from pip._vendor.packaging.requirements import InvalidRequirement, Requirement
from pip._vendor.packaging.utils import canonicalize_name

# What of pip's configuration says where files are and how to get at them. The rest is about installing: it must neither
# stop a fetch (`require-virtualenv`) nor change what is fetched (`constraint`, `no-binary`, `platform`).
_SETTINGS = (
    "cache-dir",
    "cert",
    "client-cert",
    "default-timeout",
    "extra-index-url",
    "find-links",
    "index-url",
    "keyring-provider",
    "no-cache-dir",
    "no-index",
    "proxy",
    "resume-retries",
    "retries",
    "timeout",
    "trusted-host",
)

# Exit statuses that the repository rule tells apart.
UNREACHABLE, NO_FILE, OTHER_BYTES, BROKEN, FULL = 3, 4, 5, 6, 7


class FetchError(Exception):
    """A wheel that could not be had, with the exit status that says why."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def pip_environment(environment: Mapping[str, str], index_url: str = "") -> dict[str, str]:
    """`environment` for a pip that reads no files of configuration: `_SETTINGS` as pip's files and variables have them.

    `index_url` takes the place of the configured indexes.
    """
    configuration = Configuration(isolated=False)
    try:
        configuration.load()
        items = dict(configuration.items())
    except ConfigurationError as error:
        raise FetchError(UNREACHABLE, f"pip's configuration cannot be read: {error}") from error
    found: dict[str, str] = {}
    # pip's order: what is for every command, for this one, from variables. Newer pips keep the values by file.
    for section in ("global", "download", ":env:"):
        for key, value in items.items():
            values = value if isinstance(value, dict) else {key: value}
            for inner, text in values.items():
                start, _, name = inner.rpartition(".")
                # pip takes an empty value for none at all.
                if text and start == section and name.replace("_", "-") in _SETTINGS:
                    found[name.replace("_", "-")] = " ".join(str(text).split())
    if index_url:
        found.pop("extra-index-url", None)
        found.pop("no-index", None)
        found["index-url"] = index_url
    result = {name: value for name, value in environment.items() if not name.startswith("PIP_")}
    result["PIP_CONFIG_FILE"] = os.devnull
    for name, value in found.items():
        result["PIP_" + name.upper().replace("-", "_")] = value
    return result


def download(
    requirement: str,
    hashes: list[str],
    platforms: list[str],
    directory: Path,
    python: str,
    index_url: str = "",
) -> Path:
    """Lets pip choose and download the wheel of `requirement` for a target; its bytes match one of `hashes`.

    `platforms` are the target's platform tags, the best first; `python` is the version of its Python, such as 3.11.2.
    """
    with tempfile.TemporaryDirectory() as scratch:
        lock = Path(scratch) / "requirements.txt"
        lock.write_text(requirement + "".join(f" --hash=sha256:{digest}" for digest in hashes) + "\n")
        command = [sys.executable, "-m", "pip", "download", "--disable-pip-version-check", "--no-input", "-q", "-q"]
        command += ["--no-deps", "--require-hashes", "--only-binary=:all:", "--dest", str(directory)]
        # The lock chose the release: uv, for one, passes over upper bounds of Requires-Python. The hash decides.
        command += ["--ignore-requires-python"]
        command += ["--python-version", python, "--implementation", "cp", "--requirement", str(lock)]
        command += [argument for tag in platforms for argument in ("--platform", tag)]
        environment = pip_environment(os.environ, index_url)
        run = subprocess.run(command, capture_output=True, text=True, env=environment)
    if run.returncode:
        said = run.stderr.strip()
        tail = "\n".join(said.splitlines()[-6:])
        if os.strerror(errno.ENOSPC) in said or os.strerror(errno.EDQUOT) in said:
            raise FetchError(FULL, tail)
        if "DO NOT MATCH THE HASHES" in said:
            raise FetchError(OTHER_BYTES, tail)
        if "No matching distribution" in said or "Could not find a version" in said:
            unreachable = "connection broken by" in said or "Max retries exceeded" in said
            raise FetchError(UNREACHABLE if unreachable else NO_FILE, tail)
        if " is invalid" in said or "Traceback (most recent call last)" in said:
            raise FetchError(BROKEN, f"pip cannot read the wheel of {requirement}: {tail}")
        raise FetchError(UNREACHABLE, tail)
    wheels = sorted(directory.glob("*.whl"))
    if len(wheels) != 1:
        raise FetchError(BROKEN, f"pip left {len(wheels)} wheels, expected one")
    return wheels[0]


def requirements(wheel: Path, markers: Mapping[str, str]) -> dict[str, object]:
    """The file's name and size, and of its METADATA name, version and the dependencies that hold for the target.

    `requires` maps "" (always) and each extra to a list of [distribution, [extras]]; `markers` are the target's
    variables of markers.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            names = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
            names = [name for name in names if name.count("/") == 1]
            if len(names) != 1:
                raise FetchError(BROKEN, f"{wheel.name} holds {len(names)} METADATA files, expected one")
            headers = HeaderParser().parsestr(archive.read(names[0]).decode("utf-8", "replace"))
    except (zipfile.BadZipFile, EOFError) as error:
        raise FetchError(BROKEN, f"{wheel.name} is not a zip archive: {error}") from error
    return describe(headers, wheel.name, markers) | {"size": wheel.stat().st_size}


def describe(headers: Message, file: str, markers: Mapping[str, str]) -> dict[str, object]:
    """What `requirements` returns, from the headers of a METADATA or PKG-INFO; `file` is the name of what has them."""
    if not headers["Name"] or not headers["Version"]:
        raise FetchError(BROKEN, f"{file}: its metadata lacks Name or Version")
    requires: dict[str, list[list[object]]] = {}
    for extra in ["", *(headers.get_all("Provides-Extra") or [])]:
        found: list[list[object]] = []
        for line in headers.get_all("Requires-Dist") or []:
            try:
                requirement = Requirement(line)
                holds = requirement.marker is None or requirement.marker.evaluate({**markers, "extra": extra})
                always = requirement.marker is None or requirement.marker.evaluate({**markers, "extra": ""})
            except (InvalidRequirement, UndefinedEnvironmentName) as error:
                raise FetchError(BROKEN, f"{file}: Requires-Dist: {line}: {error}") from error
            if holds and (not extra or not always):
                found.append([canonicalize_name(requirement.name), sorted(map(canonicalize_name, requirement.extras))])
        requires[canonicalize_name(extra)] = found
    return {
        "name": canonicalize_name(headers["Name"]),
        "version": headers["Version"],
        "file": file,
        "requires": requires,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requirement", required=True, help="name==version")
    parser.add_argument("--hash", action="append", required=True, help="an allowed sha256, hexadecimal")
    parser.add_argument("--markers", required=True, type=json.loads, help="the target's variables of markers, as JSON")
    parser.add_argument("--index-url", default="", help="the index, in place of those that pip is configured with")
    parser.add_argument("--have", type=Path, help="the wheel, if it is there already: read its metadata only")
    parser.add_argument("--platform", action="append", required=True, help="a platform tag, the best first")
    parser.add_argument("--output", required=True, type=Path, help="directory for the wheel and metadata.json")
    flags = parser.parse_args()
    try:
        wheel = flags.have or download(
            flags.requirement,
            flags.hash,
            flags.platform,
            flags.output,
            flags.markers["python_full_version"],
            flags.index_url,
        )
        metadata = requirements(wheel, flags.markers)
    except FetchError as error:
        print(error, file=sys.stderr)
        return error.status
    (flags.output / "metadata.json").write_text(json.dumps(metadata, indent=1, sort_keys=True) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
