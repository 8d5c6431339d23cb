"""Attacks of chance on what takes bytes from others: `bazel run //tests/hostile:campaign`, ten minutes for each kind.

A finding is printed with what gives it again, `--again KIND:BASE64`, and ends the campaign with status 1 when all kinds
have had their time. The same `--seed` gives the same inputs.
"""

from __future__ import annotations

import base64
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from chassis.command_line.run import run_main
from chassis.errors import ChassisError
from tests.hostile.kinds.archives import Archives
from tests.hostile.kinds.kind import Finding, Start
from tests.hostile.kinds.registry import Registry
from tests.hostile.kinds.server import Grpc, Http
from tests.hostile.kinds.service import Requests, Uploads

KINDS: dict[str, Start] = {
    "service-requests": Requests,
    "service-uploads": Uploads,
    "server-http": Http,
    "server-grpc": Grpc,
    "registry-answers": Registry,
    "archives": Archives,
}

FLAGS = flags.FLAGS
_MINUTES = flags.DEFINE_float("minutes", 10, "For each kind.", lower_bound=0.02)
_ONLY = flags.DEFINE_multi_enum("only", [], list(KINDS), "Attack this kind alone.")
_SEED = flags.DEFINE_integer("seed", 1, "What chance starts from.", lower_bound=0)
_AGAIN = flags.DEFINE_string("again", "", "One input, KIND:BASE64, as a finding shows it.")

_LOOK_EACH = 50
_SHOW_SECONDS = 30.0


def main(argv: Sequence[str]) -> int:
    """Exit status 1 if something was found."""
    del argv
    if _AGAIN.value:
        name, _, text = _AGAIN.value.partition(":")
        if name not in KINDS:
            raise ChassisError(f"--again={name}:…: expected one of {', '.join(KINDS)} before the `:`")
        return int(attack(name, base64.b64decode(text)))
    found = [name for name in _ONLY.value or KINDS if campaign(name, _MINUTES.value * 60, _SEED.value)]
    print(f"findings: {', '.join(found) or 'none'}", flush=True)
    return int(bool(found))


def attack(name: str, data: bytes) -> bool:
    """Gives one input; returns whether it did harm."""
    with tempfile.TemporaryDirectory(prefix="chassis-attack-") as folder:
        kind = KINDS[name](Path(folder) / "a")
        try:
            kind.attack(data)
            kind.look()
        except (Finding, OSError) as error:
            print(f"{name}: {error}", file=sys.stderr)
            return True
        finally:
            kind.close()
    print(f"{name}: nothing")
    return False


def campaign(name: str, seconds: float, seed: int) -> bool:
    """Attacks one kind for some time; returns whether something was found, which is then printed."""
    begin = shown = time.monotonic()
    recent: list[bytes] = []
    number = 0
    with tempfile.TemporaryDirectory(prefix="chassis-attack-") as folder:
        kind = KINDS[name](Path(folder) / "a")
        try:
            while time.monotonic() - begin < seconds:
                data = kind.make(random.Random(f"{seed}/{number}"))
                recent = [*recent[-_LOOK_EACH:], data] if number % _LOOK_EACH else [data]
                number += 1
                kind.attack(data)
                if number % _LOOK_EACH == 0:
                    kind.look()
                if time.monotonic() - shown > _SHOW_SECONDS:
                    shown = time.monotonic()
                    print(f"{name}: {number:,} inputs in {shown - begin:.0f} s, seed {seed}", flush=True)
            kind.look()
        except (Finding, OSError) as error:  # it takes no connection any more
            print(f"{name}: input {number} of seed {seed}: {error}", file=sys.stderr)
            # What is seen only when one looks may come of any of the last.
            for data in reversed(recent):
                print(f"  --again {name}:{base64.b64encode(data).decode()}", file=sys.stderr)
                if not str(error).startswith(("is not well", "a defect", "took", "has", "wrote")):
                    break
            return True
        finally:
            kind.close()
    print(f"{name}: {number:,} inputs in {time.monotonic() - begin:.0f} s, seed {seed}, no finding", flush=True)
    return False


if __name__ == "__main__":
    run_main(main)
