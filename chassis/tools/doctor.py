"""Examines an image for what would only fail on the device that it is for.

In the build, `--spec` says what the image is and where its layers' facts are, and the report goes to files. By hand,
`--image` names any OCI layout directory, the report is printed, and findings make the exit status 1.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from chassis.command_line.run import run_main
from chassis.doctor.diagnosis import examine
from chassis.doctor.examination import from_layout, from_specification
from chassis.doctor.image import ImageTarget
from chassis.doctor.report import findings_text, report_json, report_text
from chassis.errors import ChassisError

_SPEC = flags.DEFINE_string("spec", None, "JSON: what the image is, and its layers' facts.")
_IMAGE = flags.DEFINE_string("image", None, "Instead: an OCI layout directory.")
_ARCHITECTURE = flags.DEFINE_string("architecture", "", "With --image: which image if there are several.")
_ACCELERATOR = flags.DEFINE_enum("accelerator", "none", ("none", "cuda"), "With --image: what it computes with.")
_CPU = flags.DEFINE_string("cpu", "", "With --image: the least CPU that it is for, by QEMU's name.")
_ALLOW = flags.DEFINE_multi_string("allow", [], "With --image: CODE=REASON or CODE:PATTERN=REASON, a waiver.")
_REPORT = flags.DEFINE_string("report", None, "Output: the whole report, text.")
_JSON = flags.DEFINE_string("json", None, "Output: the whole report, JSON.")
_FINDINGS = flags.DEFINE_string("findings", None, "Output: what fails the build, text; empty if nothing does.")


def main(argv: Sequence[str]) -> int:
    """Writes or prints the report."""
    del argv
    if bool(_SPEC.value) == bool(_IMAGE.value):
        raise ChassisError("either --spec or --image says what to examine")
    if _SPEC.value:
        examination = from_specification(Path(_SPEC.value))
    else:
        target = ImageTarget(architecture=_ARCHITECTURE.value, accelerator=_ACCELERATOR.value, cpu=_CPU.value)
        allowed = dict(text.partition("=")[::2] for text in _ALLOW.value)
        examination = from_layout(Path(_IMAGE.value), target, allowed)
    diagnosis = examine(examination.image, examination.waivers)
    outputs = {
        _REPORT.value: report_text(examination, diagnosis).encode(),
        _JSON.value: report_json(examination, diagnosis),
        _FINDINGS.value: findings_text(examination, diagnosis).encode(),
    }
    if not any(outputs):
        sys.stdout.write(report_text(examination, diagnosis))
        return 1 if diagnosis.findings else 0
    for path, data in outputs.items():
        if path:
            Path(path).write_bytes(data)
    return 0


if __name__ == "__main__":
    run_main(main)
