"""Fuzzing with Atheris: `bazel run //tests/fuzz:campaign`, ten minutes for each of wheel, deb and tar.

An input that makes a tool crash, hang, write outside its directory or differ from a reference unpacker ends the
campaign with status 1; it is printed as a line for found.txt, which the regression test reads. `--minutes 0.5 --only
tar` is a short one.
"""

from __future__ import annotations

import base64
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from chassis.command_line.run import run_main
from chassis.errors import ChassisError

FLAGS = flags.FLAGS
_TARGETS = ("wheel", "deb", "tar")
flags.DEFINE_float("minutes", 10, "For each target.", lower_bound=0.05)
flags.DEFINE_multi_enum("only", [], _TARGETS, "Fuzz this target alone.")
flags.DEFINE_integer("seed", 1, "What chance starts from.", lower_bound=1)
flags.DEFINE_enum("target", None, _TARGETS, "For the campaign's own use: fuzz this one in this process.")
flags.DEFINE_string("folder", None, "For the campaign's own use: where to.")

_MODULES = {"wheel": "wheel_target", "deb": "package_target", "tar": "tar_target"}
_SECONDS_FOR_ONE = 30  # a hang is what takes longer, on a busy machine too
_SECONDS_TO_START = 300
_MAX_MEMORY_MB = 2048
_MAX_BYTES = 1 << 15


class CampaignError(ChassisError):
    """A target did what it must not."""


def main(argv: Sequence[str]) -> int:
    """Exit status 0 if no target was found to do wrong."""
    del argv
    if FLAGS.target:
        _fuzz(FLAGS.target, Path(FLAGS.folder))
        return 0
    for target in FLAGS.only or _TARGETS:
        print(f"{target}: {_campaign(target, max(1, round(FLAGS.minutes * 60)))}", flush=True)
    return 0


def _campaign(target: str, seconds: int) -> str:
    """Runs one target in a process of its own and says what it did."""
    folder = Path(tempfile.mkdtemp(prefix=f"chassis-fuzz-{target}-"))
    try:
        command = [sys.executable, __file__, f"--target={target}", f"--minutes={seconds / 60}", f"--seed={FLAGS.seed}"]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        log = folder / "log"
        with log.open("wb") as stream:
            done = subprocess.run(
                [*command, f"--folder={folder}"],
                env=environment,
                stdout=stream,
                stderr=subprocess.STDOUT,
                timeout=seconds + _SECONDS_TO_START,
                check=False,
            )
        text = log.read_text(errors="replace")
        found = [path for path in folder.iterdir() if path.name.startswith(("crash-", "timeout-", "oom-"))]
        if done.returncode or found:
            lines = "".join(f"\n{target} {base64.b64encode(path.read_bytes()).decode()}" for path in found)
            raise CampaignError(f"{target}: ended with status {done.returncode}:\n{text[-6000:]}{lines}")
        covered = re.findall(r"cov: (\d+) ft: (\d+) corp: (\d+)", text)
        runs = re.search(r"Done (\d+) runs in (\d+) second", text)
        if not runs or not covered:
            raise CampaignError(f"{target}: did not end as a campaign does:\n{text[-6000:]}")
        edges, _, corpus = covered[-1]
        return f"{int(runs[1]):,} runs in {runs[2]} s, {edges} edges, {corpus} inputs kept, no finding"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _fuzz(target: str, folder: Path) -> None:
    """Hands this process over to Atheris, which ends it."""
    import importlib

    import atheris

    with atheris.instrument_imports(include=["chassis.oci"]):
        check = importlib.import_module(f"tests.fuzz.{_MODULES[target]}").check
    from tests.fuzz.recipes import seeds

    corpus = folder / "corpus"
    corpus.mkdir()
    for number, data in enumerate(seeds()[target]):
        (corpus / str(number)).write_bytes(data)
    place = folder / "run"

    def run(data: bytes) -> None:
        try:
            check(data, place)
        finally:
            shutil.rmtree(place, ignore_errors=True)

    options = {
        "max_total_time": round(FLAGS.minutes * 60),
        "timeout": _SECONDS_FOR_ONE,
        "rss_limit_mb": _MAX_MEMORY_MB,
        "max_len": _MAX_BYTES,
        "seed": FLAGS.seed,
        "artifact_prefix": f"{folder}/",
    }
    atheris.Setup([sys.argv[0], *(f"-{key}={value}" for key, value in options.items()), str(corpus)], run)
    atheris.Fuzz()


if __name__ == "__main__":
    run_main(main)
