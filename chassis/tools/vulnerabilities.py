"""`bazel run //model:image.vulnerabilities -- --database FILE`: known vulnerabilities of what is in an image.

Databases are files: an export of OSV, or the JSON of Debian's security tracker. No network is used.
"""

from __future__ import annotations

import datetime
import sys
from collections.abc import Sequence

from absl import flags

from chassis.command_line.run import caller_path, run_main
from chassis.errors import ChassisError
from chassis.oci.descriptor import read_json
from chassis.trust.vulnerabilities import SEVERITIES, Vulnerability, find_vulnerabilities, packages_of, reaches
from chassis.trust.waived import Waiver, openvex_document, read_waivers, waived_by

FLAGS = flags.FLAGS
flags.DEFINE_string("sbom", None, "CycloneDX document of the image.", required=True)
flags.DEFINE_multi_string("database", [], "OSV export (zip, directory or JSON), or Debian's tracker as JSON.")
flags.DEFINE_multi_string("waivers", [], "TOML file of waivers, each with reason and last day.")
flags.DEFINE_enum("fail_on", "high", ["none", *SEVERITIES[1:]], "The least severity that fails.")
flags.DEFINE_alias("fail-on", "fail_on")
flags.DEFINE_string("vex", None, "Write an OpenVEX document to this file.")
flags.DEFINE_string("today", None, "The day that waivers are held against, such as 2026-12-31; by default today.")


def main(argv: Sequence[str]) -> int:
    """Exit status 1 if a vulnerability reaches the threshold and no waiver holds."""
    del argv
    if not FLAGS.database:
        raise ChassisError("no database: give one with --database FILE (docs/trust.md says where they are)")
    sbom = read_json(caller_path(FLAGS.sbom))
    packages = packages_of(sbom, FLAGS.sbom)
    found = find_vulnerabilities(packages, [caller_path(name) for name in FLAGS.database])
    waivers = [waiver for name in FLAGS.waivers for waiver in read_waivers(caller_path(name))]
    today = _today()
    failing = 0
    for one in found:
        waiver = waived_by(one, waivers, today)
        fails = FLAGS.fail_on != "none" and reaches(one.severity, FLAGS.fail_on) and waiver is None
        failing += fails
        print(_line(one, waiver, fails))
    for waiver in waivers:
        if today > waiver.expires:
            print(f"note: the waiver of {waiver.identifier} ended on {waiver.expires}", file=sys.stderr)
    if FLAGS.vex:
        image = sbom["metadata"]["component"]["bom-ref"]
        caller_path(FLAGS.vex).write_bytes(openvex_document(found, waivers, image, today))
    print(f"{len(packages)} packages, {len(found)} vulnerabilities, {failing} to mend", file=sys.stderr)
    return 1 if failing else 0


def _line(one: Vulnerability, waiver: Waiver | None, fails: bool) -> str:
    verdict = "waived" if waiver else "FAILS" if fails else "noted"
    fixed = f"fixed in {one.fixed}" if one.fixed else "no fixed version"
    reason = f": {waiver.reason} (until {waiver.expires})" if waiver else ""
    return f"{verdict} {one.identifier} {one.severity} {one.package.name} {one.package.version}, {fixed}{reason}"


def _today() -> datetime.date:
    if not FLAGS.today:
        return datetime.date.today()
    try:
        return datetime.date.fromisoformat(FLAGS.today)
    except ValueError:
        raise ChassisError(f"--today={FLAGS.today}: a day such as 2026-12-31 is expected") from None


if __name__ == "__main__":
    run_main(main)
