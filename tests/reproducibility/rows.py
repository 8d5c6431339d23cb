"""The rows of the matrix: what differs from the first, which must make no difference to the image."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from machine import Machine

# What a person's own machine exports; none of it is named in a lock or a BUILD file.
_RICH = {
    "CFLAGS": "-O0 -g",
    "GLIBC_TUNABLES": "glibc.malloc.perturb=165",
    "GREP_OPTIONS": "--color=always",
    "MALLOC_PERTURB_": "165",
    "POSIXLY_CORRECT": "1",
    "PYTHONHASHSEED": "7",
    "PYTHONOPTIMIZE": "2",
    "PYTHONUNBUFFERED": "1",
    "SOURCE_DATE_EPOCH": "1700000000",
    "TAR_OPTIONS": "--owner=somebody",
}

ADA = Machine("ada")
BOB = Machine(
    "bob",
    user=5822,
    umask=0o077,
    environment={"LC_ALL": "C", "TZ": "Asia/Kathmandu"},
    path=("/opt/bob/bin",),
    place="elsewhere/a/checkout",
)

CHECKOUT, OUTER = "checkout", "outer"

# One of data alone, and one with code; packages `sums` and `ml` are those of e2e/team_workspace (workspaces.py).
IMAGES = ("//model:image", "//sums:image")

_COLD = "cold"
_FILL = "fill"
_HITS = "hits"


@dataclass(frozen=True)
class Row:
    """One build of the images.

    Attributes:
      name: of the row.
      machine: where it is built.
      leak: what `matrix.py --leak` lets into the image that differs in this row: a word of leaks.py, or `history`.
      workspace: `checkout` of Chassis, or `outer`, which depends on it (workspaces.py).
      repository: where the images are, such as `@team`.
      options: Bazel's.
      cache: `cold` runs every action; `fill` may take what other rows left in the cache that the machines share, and
        leaves what it makes; `hits` takes every action from it, and fails if one is missing.
      short: whether the short form has it.
      more: images beside the two, which rows that have them must agree about.
    """

    name: str
    machine: Machine
    leak: str
    workspace: str = CHECKOUT
    repository: str = ""
    options: Sequence[str] = ()
    cache: str = _FILL
    short: bool = True
    more: Sequence[str] = ()


def _alone(name: str, leak: str, **different: object) -> Row:
    """A machine that differs from ada's in one thing and in its directory's name."""
    return Row(name, Machine(name, **different), leak, cache=_COLD, short=False)  # type: ignore[arg-type]


ROWS = (
    Row("first", ADA, ""),
    Row("next", ADA, "repository", options=("--config=next",)),
    Row("workspace", ADA, "repository", options=("--config=workspace",)),
    Row("no-worker", ADA, "history", options=("--spawn_strategy=sandboxed",), cache=_COLD, short=False),
    Row("no-sandbox", ADA, "directory", options=("--spawn_strategy=local",), cache=_COLD, short=False),
    Row("plain-worker", ADA, "history", options=("--noworker_sandboxing",), cache=_COLD, short=False),
    Row("depends", ADA, "repository", OUTER, more=("//borrowed:image",)),
    Row("dependency", ADA, "repository", OUTER, "@team"),
    Row(
        "depends-workspace",
        ADA,
        "repository",
        OUTER,
        options=("--config=workspace",),
        more=("//borrowed:image",),
    ),
    Row("dependency-workspace", ADA, "repository", OUTER, "@team", ("--config=workspace",)),
    Row("cached", BOB, "zone", cache=_HITS),
    Row("cold", BOB, "user", options=("--spawn_strategy=local",), cache=_COLD),
    _alone("user", "user", user=5822),
    _alone("umask", "umask", umask=0o077),
    _alone("zone", "zone", environment={"TZ": "America/St_Johns"}),
    _alone("locale", "locale", environment={"LANG": "tr_TR.UTF-8", "LC_ALL": "C"}),
    _alone("environment", "seed", environment=_RICH),
    _alone("place", "directory", place="another/place/for/it"),
    _alone("processor", "processors", processors=str(min(os.sched_getaffinity(0)))),
)
