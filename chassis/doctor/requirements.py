"""What the image's distributions require of each other, with markers evaluated for the target.

Specification: PyPA, "Dependency specifiers".
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from packaging.markers import InvalidMarker, UndefinedComparison, UndefinedEnvironmentName
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from chassis.declaration.pythons import DEFAULT_PYTHON, whole_version
from chassis.declaration.wheel_target import marker_environment
from chassis.doctor.facts import Distribution
from chassis.doctor.image import PYTHON_MACHINES, Image


@dataclass(frozen=True, slots=True)
class Need:
    """One `Requires-Dist` that holds, of `item` in the layer of that number; `wanted` is the normalised name.

    `requirement` is None if the line cannot be read: `defect` has the line and the reason.
    """

    layer: int
    item: Distribution
    requirement: Requirement | None
    wanted: str = ""
    defect: str = ""


def image_markers(image: Image) -> dict[str, str]:
    """The variables of markers as the image's Python has them."""
    machine = PYTHON_MACHINES.get(image.target.architecture, image.target.architecture)
    return marker_environment(machine, whole_version(image.python_version or DEFAULT_PYTHON))


def needs(image: Image, distributions: Sequence[tuple[int, Distribution]]) -> Iterator[Need]:
    """Yields every requirement of `distributions`, those of one process, that holds; those of extras if an installed
    distribution asks for the extra."""
    installed = {canonicalize_name(item.name): (layer, item) for layer, item in distributions}
    environment = image_markers(image)
    queue: list[tuple[str, str]] = [(name, "") for name in installed]
    seen = set(queue)
    for name, extra in queue:
        layer, item = installed[name]
        for line in item.requires:
            try:
                requirement = Requirement(line)
                always = _holds(requirement, environment, "")
                holds = always or _holds(requirement, environment, extra)
            except (
                InvalidRequirement,
                InvalidMarker,
                UndefinedEnvironmentName,
                UndefinedComparison,
            ) as error:
                if not extra:
                    yield Need(layer, item, None, defect=f"{line}: {str(error).splitlines()[0]}")
                continue
            if not holds or (extra and always):
                continue
            wanted = canonicalize_name(requirement.name)
            yield Need(layer, item, requirement, wanted)
            for further in requirement.extras:
                state = (wanted, canonicalize_name(further))
                if wanted in installed and state not in seen:
                    seen.add(state)
                    queue.append(state)


def _holds(requirement: Requirement, environment: dict[str, str], extra: str) -> bool:
    return requirement.marker is None or requirement.marker.evaluate(environment | {"extra": extra})


def layers_needed(image: Image) -> dict[int, set[int]]:
    """For each layer with distributions, the layers of those that they require, directly or through others."""
    direct: dict[int, set[int]] = defaultdict(set)
    for distributions in image.processes:
        by_name = {canonicalize_name(item.name): layer for layer, item in distributions}
        for need in needs(image, distributions):
            if need.wanted in by_name:
                direct[need.layer].add(by_name[need.wanted])
    return {layer: _reached(layer, direct) for layer in direct}


def _reached(start: int, direct: dict[int, set[int]]) -> set[int]:
    seen: set[int] = set()
    queue = [start]
    while queue:
        for layer in direct.get(queue.pop(), ()):
            if layer not in seen:
                seen.add(layer)
                queue.append(layer)
    return seen
