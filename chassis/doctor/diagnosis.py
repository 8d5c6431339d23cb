"""Examines an image: every check, with what is waived set apart."""

from __future__ import annotations

from dataclasses import dataclass

from chassis.doctor.elf_checks import check_elves
from chassis.doctor.file_checks import check_files
from chassis.doctor.finding import Finding
from chassis.doctor.image import Image
from chassis.doctor.python_checks import check_python
from chassis.doctor.waivers import Waiver


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What was found: `findings` fail the build, `waived` go with their waiver, `notes` are for people."""

    findings: tuple[Finding, ...]
    waived: tuple[tuple[Finding, Waiver], ...]
    notes: tuple[Finding, ...]
    unused: tuple[Waiver, ...]


def examine(image: Image, waivers: tuple[Waiver, ...] = ()) -> Diagnosis:
    """Runs every check; findings come in the order of code, layer and path."""
    found = [*check_elves(image), *check_python(image), *check_files(image)]
    order = {str(layer.origin): number for number, layer in enumerate(image.layers)}
    found.sort(key=lambda item: (item.code, order.get(item.layer, -1), item.path, item.defect))
    errors, waived, notes = [], [], []
    for finding in dict.fromkeys(found):
        if finding.severity == "note":
            notes.append(finding)
        elif waiver := next((waiver for waiver in waivers if waiver.covers(finding)), None):
            waived.append((finding, waiver))
        else:
            errors.append(finding)
    used = {waiver for _, waiver in waived}
    unused = tuple(waiver for waiver in waivers if waiver not in used)
    return Diagnosis(tuple(errors), tuple(waived), tuple(notes), unused)
