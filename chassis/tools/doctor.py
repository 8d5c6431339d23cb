"""Examines an image for what would only fail on the device that it is for.

In the build, `--spec` says what the image is and where its layers' facts are. The report goes to files, whatever is
found; or with `--passed` findings are printed and make the exit status 1. By hand, `--image` names any OCI layout
directory, the report is printed, and findings make the exit status 1.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from absl import flags

from chassis.command_line.kept_documents import KeptDocuments
from chassis.command_line.persistent_worker import Digests
from chassis.command_line.run import run_main
from chassis.doctor.diagnosis import examine
from chassis.doctor.examination import from_layout, from_specification
from chassis.doctor.facts import Facts, read_facts
from chassis.doctor.image import ImageTarget
from chassis.doctor.report import findings_text, report_json, report_text
from chassis.errors import ChassisError

_SPEC = flags.DEFINE_string("spec", None, "What the image is, and its layers' facts: JSON, or a file of it.")
_IMAGE = flags.DEFINE_string("image", None, "Instead: an OCI layout directory.")
_ARCHITECTURE = flags.DEFINE_string("architecture", "", "With --image: which image if there are several.")
_ACCELERATOR = flags.DEFINE_enum("accelerator", "none", ("none", "cuda"), "With --image: what it computes with.")
_CPU = flags.DEFINE_string("cpu", "", "With --image: the least CPU that it is for, by QEMU's name.")
_ALLOW = flags.DEFINE_multi_string("allow", [], "With --image: CODE=REASON or CODE:PATTERN=REASON, a waiver.")
_REPORT = flags.DEFINE_string("report", None, "Output: the whole report, text.")
_JSON = flags.DEFINE_string("json", None, "Output: the whole report, JSON.")
_FINDINGS = flags.DEFINE_string("findings", None, "Output: what fails the build, text; empty if nothing does.")
_PASSED = flags.DEFINE_string("passed", None, "Output: an empty file, written if nothing fails the build.")


def main(argv: Sequence[str]) -> int:
    """Writes or prints the report."""
    del argv
    return _examine(read_facts)


def main_in_worker(kept: KeptDocuments[Facts], digests: Digests) -> int:
    """The same, in a worker: images of one build have most layers in common."""
    return _examine(kept.among(digests))


def _examine(read: Callable[[Path], Facts]) -> int:
    if bool(_SPEC.value) == bool(_IMAGE.value):
        raise ChassisError("either --spec or --image says what to examine")
    if _SPEC.value:
        examination = from_specification(_SPEC.value, read)
    else:
        target = ImageTarget(architecture=_ARCHITECTURE.value, accelerator=_ACCELERATOR.value, cpu=_CPU.value)
        allowed = dict(text.partition("=")[::2] for text in _ALLOW.value)
        examination = from_layout(Path(_IMAGE.value), target, allowed)
    diagnosis = examine(examination.image, examination.waivers)
    if passed := _PASSED.value:
        if diagnosis.findings:
            sys.stderr.write(findings_text(examination, diagnosis))
            return 1
        Path(passed).touch()
        return 0
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
    run_main(main, in_worker=functools.partial(main_in_worker, KeptDocuments(read_facts)))
