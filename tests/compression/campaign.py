"""A million members, compressed twice each and on every processor: `bazel run //tests/compression:campaign`.

Once one after the other; once by threads, backwards, from other addresses, in a heap full of noise, by many processes;
and some thousands of them by the Python of each machine under its emulator, which plays processors with fewer and fewer
instructions. Members that come as other bytes end it with status 1: try it with
`--compressor isal --members 100000`.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from absl import flags

from chassis.command_line.run import run_main
from chassis.errors import ChassisError
from tests.compression.machines import AMD64, ARM64, Machine, emulated, this_machine, unpack_arm64
from tests.compression.members import BLOCK, place
from tests.compression.vectors import noise, table, weights

_MEMBERS = flags.DEFINE_integer("members", 1_000_000, "How many, in whole thousands.", lower_bound=BLOCK)
_EMULATED = flags.DEFINE_integer("emulated", 5_000, "How many of them on each emulated processor.", lower_bound=0)
_SEED = flags.DEFINE_string("seed", "1", "What they are drawn with.")
_COMPRESSOR = flags.DEFINE_enum("compressor", "libdeflate", ["libdeflate", "isal"], "The project's, or ISA-L's.")

_MAX_CORPUS_BYTES = 64 << 20
_BLOCKS_OF_A_PROCESS = 20
_SECONDS_OF_A_PROCESS = 3600


class CampaignError(ChassisError):
    """A content was compressed to different bytes."""


@dataclass(frozen=True, slots=True)
class Campaign:
    """The corpus, and how many blocks there are."""

    corpus: Path
    blocks: int

    def digests(self, machine: Machine, mode: str, first: int, last: int, perturbed: int) -> list[str]:
        """The digests of blocks, made by a process of its own."""
        arguments = [str(self.corpus), _COMPRESSOR.value, _SEED.value, str(first), str(last), mode]
        command = ["-m", "tests.compression.members", *arguments]
        return machine.run(command, perturbed, _SECONDS_OF_A_PROCESS).split()

    def quiet(self) -> list[str]:
        """All blocks, the first way: the reference."""
        return self.digests(this_machine(), "quiet", 0, self.blocks, 0)

    def noisy(self) -> Iterator[tuple[int, str]]:
        """All blocks with their numbers, the second way."""
        for first in range(0, self.blocks, _BLOCKS_OF_A_PROCESS):
            last = min(first + _BLOCKS_OF_A_PROCESS, self.blocks)
            digests = self.digests(this_machine(), "noisy", first, last, first % 255 + 1)
            yield from zip(range(first, last), digests, strict=True)


def main(argv: Sequence[str]) -> int:
    """Exit status 0 if every member had the same bytes each time."""
    del argv
    with tempfile.TemporaryDirectory(prefix="chassis-compression-") as directory:
        corpus = Path(directory, "corpus")
        corpus.write_bytes(_corpus())
        campaign = Campaign(corpus, _MEMBERS.value // BLOCK)
        members = campaign.blocks * BLOCK
        size = corpus.stat().st_size
        total = sum(place(_SEED.value, number, size)[1] for number in range(members))
        print(f"{members:,} members, {total / 1e9:.1f} GB, of a corpus of {size / 1e6:.0f} MB", flush=True)
        start = time.monotonic()
        expected = campaign.quiet()
        print(f"one after the other: {time.monotonic() - start:.0f} s", flush=True)
        start = time.monotonic()
        differing = [block for block, digest in campaign.noisy() if digest != expected[block]]
        print(f"by threads, backwards, in noise: {time.monotonic() - start:.0f} s", flush=True)
        if differing:
            raise CampaignError(f"{_COMPRESSOR.value}: other bytes in {len(differing)} of {campaign.blocks} thousands")
        _emulate(campaign, expected, unpack_arm64(Path(directory, "arm64")))
    print("the same bytes each time")
    return 0


def _emulate(campaign: Campaign, expected: list[str], packages: list[str]) -> None:
    count = min(campaign.blocks, _EMULATED.value // BLOCK)
    machines = [("amd64", cpu, emulated("amd64", cpu)) for cpu in AMD64]
    machines += [("arm64", cpu, emulated("arm64", cpu, packages)) for cpu in ARM64]
    for architecture, cpu, machine in machines if count else ():
        start = time.monotonic()
        found = campaign.digests(machine, "quiet", 0, count, 1)
        print(f"{architecture} {cpu}: {count * BLOCK:,} in {time.monotonic() - start:.0f} s", flush=True)
        if found != expected[:count]:
            raise CampaignError(
                f"{_COMPRESSOR.value}: other bytes from {architecture} {cpu} in the first {count * BLOCK:,}"
            )


def _corpus() -> bytes:
    """Files of Python's root, and what imitates weights, tables and noise."""
    parts, size = [kind("corpus", 4 << 20) for kind in (noise, table, weights)], 0
    for folder, folders, names in os.walk(os.environ["PYTHON_AMD64"]):
        folders.sort()
        for path in (Path(folder, name) for name in sorted(names)):
            if (path.suffix == ".py" or ".so" in path.suffixes) and not path.is_symlink() and size < _MAX_CORPUS_BYTES:
                parts.append(path.read_bytes())
                size += len(parts[-1])
    return b"".join(parts)


if __name__ == "__main__":
    run_main(main)
