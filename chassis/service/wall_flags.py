"""The flags by which an operator says what builds may do."""

from __future__ import annotations

import sys

from absl import flags

from chassis.declaration.distribution_name import canonical_name
from chassis.service.build_policy import BuildPolicy
from chassis.service.image_build import ImageBuild

_BUILDABLE = flags.DEFINE_list(
    "buildable",
    [],
    "Distributions that jobs may have built from their sources (cross_build), such as crcmod,annoy; * for any. Their "
    "builds run code of whoever uploaded them, confined. By default there are none.",
)
_ACCEPT = flags.DEFINE_bool(
    "accept_unconfined_builds",
    False,
    "Serve also if this machine cannot confine the code of models: whoever may publish then reads and changes what "
    "this account can, its credentials included.",
)


def policy_of_flags() -> BuildPolicy:
    """What the operator says; behind which walls builds run is not known yet."""
    names = frozenset(canonical_name(name) for name in _BUILDABLE.value)
    return BuildPolicy(buildable=None if "*" in _BUILDABLE.value else names)


def raise_walls(build: ImageBuild) -> None:
    """Has `build` confine the code of clients, tried with a model that attacks; says what it came to.

    Raises:
      UnconfinedError: it cannot, and the operator does not accept that.
    """
    if _ACCEPT.value:
        print(
            "warning: --accept_unconfined_builds: whoever may publish reads and changes what this account can",
            file=sys.stderr,
            flush=True,
        )
        return
    print("chassis build service: trying whether builds confine a model that attacks", file=sys.stderr, flush=True)
    strategy = build.confine()
    print(f"chassis build service: models are confined, in Bazel's {strategy}", file=sys.stderr, flush=True)
