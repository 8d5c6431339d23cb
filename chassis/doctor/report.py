"""The doctor's report: for people as text, for programs as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict

from chassis.doctor.codes import CODES
from chassis.doctor.diagnosis import Diagnosis
from chassis.doctor.examination import Examination
from chassis.doctor.finding import Finding
from chassis.doctor.image import Image

_MAX_PATHS = 3


def findings_text(examination: Examination, diagnosis: Diagnosis) -> str:
    """What fails the build, with what to do about it; empty if there is nothing."""
    if not diagnosis.findings:
        return ""
    code = diagnosis.findings[0].code
    lines = [
        f"{examination.name}: {_count(len(diagnosis.findings), 'finding')} of the doctor: this image would not run as "
        f"it should on {_target(examination.image)}",
        "",
        *_grouped(diagnosis.findings),
        "A finding that is right to ship is waived with its reason, which the image's labels record:",
        f'  doctor_allow = {{"{code}": "…"}}    or    {{"{code}:path/*": "…"}}',
        f"The whole report: bazel run {examination.name}.doctor",
    ]
    return "\n".join(lines) + "\n"


def report_text(examination: Examination, diagnosis: Diagnosis) -> str:
    """The whole report."""
    image = examination.image
    lines = [f"{examination.name}, for {_target(image)}", *_summary(image), "", *_layers(image), ""]
    if diagnosis.findings:
        lines += [f"{_count(len(diagnosis.findings), 'finding')}:", "", *_grouped(diagnosis.findings)]
    else:
        lines += ["No findings.", ""]
    if diagnosis.waived:
        lines += ["Waived:", ""]
        by_waiver: dict[str, list[Finding]] = {}
        for finding, waiver in diagnosis.waived:
            by_waiver.setdefault(f"{waiver.key}: {waiver.reason}", []).append(finding)
        for why, waived in by_waiver.items():
            lines += [f"  {why}", *("  " + line if line else "" for line in _grouped(waived, remedies=False))]
    if diagnosis.notes:
        lines += ["Notes, which fail nothing:", "", *_grouped(diagnosis.notes)]
    for waiver in diagnosis.unused:
        lines.append(f"The waiver {waiver.key} covers nothing in this image.")
    return "\n".join(lines).rstrip("\n") + "\n"


def report_json(examination: Examination, diagnosis: Diagnosis) -> bytes:
    """The whole report as a JSON document."""
    document = {
        "image": examination.name,
        "target": asdict(examination.image.target),
        "findings": [asdict(finding) for finding in diagnosis.findings],
        "waived": [asdict(finding) | {"reason": waiver.reason} for finding, waiver in diagnosis.waived],
        "notes": [asdict(finding) for finding in diagnosis.notes],
        "unused_waivers": [waiver.key for waiver in diagnosis.unused],
    }
    return json.dumps(document, indent=1).encode() + b"\n"


def _target(image: Image) -> str:
    target = image.target
    parts = [f"linux/{target.architecture}"]
    if target.accelerator != "none":
        parts.append(target.accelerator)
    parts.append(f"CPU {target.cpu}" if target.cpu else "any CPU of that architecture")
    return ", ".join(parts)


def _summary(image: Image) -> Iterator[str]:
    files = sum(1 for placed in image.tree if placed.file.type in ("file", "hardlink"))
    yield (
        f"{_count(len(image.layers), 'layer')}, {_count(files, 'file')}, {_count(len(image.elves), 'ELF file')}, "
        f"{_count(len(image.distributions), 'Python distribution')}; Python {image.python_version or 'unknown'}, "
        f"glibc {_glibc(image) or 'unknown'}"
    )


def _glibc(image: Image) -> str:
    versions = [
        tuple(int(part) for part in name.removeprefix("GLIBC_").split("."))
        for file in image.elves.values()
        if file.elf.soname == "libc.so.6"
        for name in file.elf.defines
        if name.removeprefix("GLIBC_").replace(".", "").isdigit()
    ]
    return ".".join(map(str, max(versions))) if versions else ""


def _layers(image: Image) -> Iterator[str]:
    width = max((len(image.name(number)) for number in range(len(image.layers))), default=0)
    for number, layer in enumerate(image.layers):
        counts = [_count(len(layer.files), "path"), _count(len(layer.elves), "ELF file")]
        yield f"  {layer.digest[7:19]}  {image.name(number):{width}}  {', '.join(counts)}"


def _grouped(findings: Iterable[Finding], remedies: bool = True) -> Iterator[str]:
    """Findings of one code, layer, defect and remedy together, with the first few of their files."""
    groups: dict[tuple[str, str, str, str], list[str]] = {}
    for finding in findings:
        key = (finding.code, finding.layer, finding.defect, finding.remedy)
        groups.setdefault(key, []).append(finding.path)
    for (code, layer, defect, remedy), paths in groups.items():
        yield f"  {code} {CODES[code].title}, in {layer}"
        for path in paths[:_MAX_PATHS]:
            if path:
                yield f"    /{path}"
        if len(paths) > _MAX_PATHS:
            yield f"    and {_count(len(paths) - _MAX_PATHS, 'more file')}"
        yield f"    {defect}"
        if remedies:
            yield f"    remedy: {remedy}"
        yield ""


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
