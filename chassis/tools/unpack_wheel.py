"""Unpacks a wheel to a directory that Python can import from, for the build machine's own use.

It unpacks the packages that every other tool needs, so its flags are argparse's.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from chassis.errors import ChassisError
from chassis.oci.layer.wheel_unpacking import compile_bytecode, unpack


def main(arguments: list[str]) -> int:
    """Parses flags, unpacks, and returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], fromfile_prefix_chars="@")
    parser.add_argument("--wheel", type=Path, required=True, help="the wheel, under its own file name")
    parser.add_argument("--output", type=Path, required=True, help="the directory to fill")
    parser.add_argument("--bytecode", action="store_true", help="compile every module for this Python")
    flags = parser.parse_args(arguments)
    os.umask(0o022)
    try:
        unpack(flags.wheel, flags.output)
        if flags.bytecode:
            compile_bytecode(flags.output)
    except ChassisError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
