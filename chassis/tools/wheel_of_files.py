"""Makes a wheel of the files that a hub unpacked, if the wheel itself is missing.

Names are rules_python's: `site-packages` is the root of the wheel; `bin`, `data` and `include` lie beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from absl import flags

from chassis.command_line.run import run_main
from chassis.compression.wheel_writer import WheelTooLargeError, write_wheel
from chassis.declaration.distribution_name import canonical_name
from chassis.errors import ChassisError

_DISTRIBUTION = flags.DEFINE_string("distribution", None, "The distribution's name.", required=True)
_FILE = flags.DEFINE_multi_string("file", None, "PATH=SRC: a file and its path in the hub's repository.", required=True)
_OUTPUT = flags.DEFINE_string("output", None, "Output: the wheel.", required=True)

# Directories of rules_python's repositories and where a wheel has what they hold (PyPA, "The .data directory").
_SCHEMES = {"bin": "scripts", "data": "data", "include": "data/include"}

# What an installation adds, or writes anew.
_INSTALLED = ("INSTALLER", "RECORD", "REQUESTED", "direct_url.json")


def main(argv: Sequence[str]) -> None:
    """Writes the wheel."""
    del argv
    output = Path(_OUTPUT.value)
    sources = dict(_pair(value) for value in _FILE.value)
    dist_info = _dist_info(sources, _DISTRIBUTION.value)
    files = {}
    for path, source in sources.items():
        name = _name_in_wheel(path, dist_info)
        if name:
            files[name] = source.read_bytes()
    try:
        write_wheel(output, files, dist_info)
    except WheelTooLargeError as error:
        raise WheelTooLargeError(f"{error}; name the hub's wheels with `hub_wheels` (docs/locks.md)") from None


def _pair(value: str) -> tuple[str, Path]:
    path, equals, source = value.partition("=")
    if not path or not equals:
        raise ChassisError(f"--file={value}: two parts with `=` between them are expected")
    return path, Path(source)


def _dist_info(sources: dict[str, Path], distribution: str) -> str:
    found = {path.split("/")[1] for path in sources if path.startswith("site-packages/") and path.count("/") > 1}
    names = sorted(name.removesuffix(".dist-info") for name in found if name.endswith(".dist-info"))
    own = [name for name in names if canonical_name(name.rpartition("-")[0]) == canonical_name(distribution)]
    if len(own) != 1:
        raise ChassisError(
            f"{distribution}: its hub has {len(own)} .dist-info directories of it, expected one\n"
            "  name the hub's wheels with `hub_wheels` (docs/locks.md), and the layer is made of the wheel itself"
        )
    return own[0] + ".dist-info"


def _name_in_wheel(path: str, dist_info: str) -> str | None:
    """The path in the wheel of a file of the hub's repository; None for what a wheel does not hold."""
    top, _, rest = path.partition("/")
    if "__pycache__" in rest.split("/") or rest in [f"{dist_info}/{name}" for name in _INSTALLED]:
        return None
    if top == "site-packages":
        return rest
    if top in _SCHEMES:
        return f"{dist_info.removesuffix('.dist-info')}.data/{_SCHEMES[top]}/{rest}"
    return None


if __name__ == "__main__":
    run_main(main)
