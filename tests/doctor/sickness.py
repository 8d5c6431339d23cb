"""What the modules of the collection share: what a sick image is, and how one is put on a list."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.doctor.image_plan import SITE, Plan, healthy

CORE = f"{SITE}/fast/_core.so"
"""The extension module of the healthy image's wheel `fast`."""


@dataclass(frozen=True, slots=True)
class Sickness:
    """What is wrong with an image: `spoil` changes a healthy plan, `expected` has the code and path of each finding
    (path "" for the configuration), `says` words that the first one's defect must hold.
    """

    name: str
    spoil: Callable[[Plan], None]
    expected: tuple[tuple[str, str], ...]
    says: str
    architecture: str = "arm64"

    def plan(self) -> Plan:
        """The sick image's plan."""
        plan = healthy(self.architecture)
        self.spoil(plan)
        return plan


Spoil = Callable[[Plan], None]


def registrar(cases: list[Sickness]) -> Callable[..., Callable[[Spoil], Spoil]]:
    """A decorator for functions that spoil a healthy plan, which puts them on the list `cases`."""

    def sick(*expected: tuple[str, str], says: str, architecture: str = "arm64") -> Callable[[Spoil], Spoil]:
        def keep(spoil: Spoil) -> Spoil:
            cases.append(Sickness(spoil.__name__, spoil, expected, says, architecture))
            return spoil

        return keep

    return sick


def spoil_core(plan: Plan, **asked: object) -> None:
    """Makes the extension module of the wheel `fast` ask for something else."""
    plan.wheels[0].files["fast/_core.so"] = plan.library(**asked)
