"""Builds what zig links into programs for one target: start file, glibc's stubs, libc++ and compiler-rt."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from absl import flags

from chassis.command_line.run import run_main
from chassis.command_line.staged import staged
from chassis.cross.target import cross_target
from chassis.cross.zig_runtime import build_runtime

_ZIG = flags.DEFINE_string("zig", None, "The directory of zig and its lib.", required=True)
_ARCHITECTURE = flags.DEFINE_string("architecture", None, "amd64 or arm64.", required=True)
_GLIBC = flags.DEFINE_string("glibc", "2.28", "The oldest glibc to run on.")
_OUTPUT = flags.DEFINE_string("output", None, "Output: the directory.", required=True)


def main(argv: Sequence[str]) -> None:
    """Fills the output directory."""
    del argv
    build_runtime(staged(_ZIG.value), cross_target(_ARCHITECTURE.value, _GLIBC.value), Path(_OUTPUT.value))


if __name__ == "__main__":
    run_main(main)
