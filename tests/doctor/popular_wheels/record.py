"""Records what the doctor reads of the wheels in images: `./bazelw run //tests/doctor/popular_wheels:record`.

The doctor has examined the images: there are none if it found anything. With --check nothing is written, and the exit
status is 1 if the record is not what the wheels are.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from chassis.command_line.run import run_main
from chassis.doctor.examination import facts_of_layout
from chassis.errors import ChassisError
from chassis.whole_file import write_whole
from tests.doctor.popular_wheels.recorded_facts import write_record

_CHECK = flags.DEFINE_bool("check", False, "Write nothing: fail if what is recorded is something else.")
_FOLDER = "tests/doctor/popular_wheels"


def main(argv: Sequence[str]) -> None:
    """Writes the file of each CPU."""
    del argv
    folder = Path(os.environ["BUILD_WORKSPACE_DIRECTORY"]) / _FOLDER
    for architecture in ("amd64", "arm64"):
        facts = facts_of_layout(Path(os.environ[f"IMAGE_{architecture.upper()}"]), architecture)
        wheels = [layer for layer in facts.layers if layer.origin.kind.startswith("wheel")]
        text = write_record(wheels)
        path = folder / f"facts_{architecture}.json"
        if _CHECK.value and path.read_text() != text:
            raise ChassisError(f"{path} is not what the wheels are: ./bazelw run //{_FOLDER}:record")
        if not _CHECK.value:
            write_whole(path, text.encode())
        print(f"{path.name}: {len(wheels)} layers of wheels, {len(text) / 1e3:.0f} kB")


if __name__ == "__main__":
    run_main(main)
