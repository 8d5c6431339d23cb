"""All files that are written from what the code says: their paths and contents."""

from __future__ import annotations

import os
from pathlib import Path

from chassis.declaration.starlark import declared_bzl
from chassis.reference.errors_page import doctor_codes_bzl, doctor_page, errors_page
from chassis.reference.sdk_page import sdk_page
from chassis.reference.settings_page import settings_page
from chassis.reference.starlark_page import starlark_page

REFERENCE = "docs/reference"


def written_files() -> dict[str, str]:
    """Returns path in the repository to content.

    The environment says where what Bazel extracted is: `DEFS_DOC`, `EXTENSIONS_DOC`, `REPOSITORIES_DOC`; the sources
    are those of the runfiles that this module is in.
    """
    root = Path(__file__).parent.parent.parent
    sources = {
        path.relative_to(root).as_posix(): path.read_text()
        for path in sorted((root / "chassis").rglob("*.py"))
        if not path.name.endswith(("_test.py", "_pb2.py", "_pb2_grpc.py"))
    }
    return {
        f"{REFERENCE}/rules.md": starlark_page("Rules", "@chassis//rules:defs.bzl", _extracted("DEFS_DOC")),
        f"{REFERENCE}/extensions.md": starlark_page(
            "Module extensions", "@chassis//rules:extensions.bzl", _extracted("EXTENSIONS_DOC")
        ).replace("load(", "use_extension("),
        f"{REFERENCE}/repositories.md": starlark_page(
            "Repositories of a WORKSPACE", "@chassis//rules:repositories.bzl", _extracted("REPOSITORIES_DOC")
        ),
        f"{REFERENCE}/sdk.md": sdk_page(),
        f"{REFERENCE}/settings.md": settings_page((root / "rules/BUILD.bazel").read_text()),
        f"{REFERENCE}/doctor_codes.md": doctor_page(),
        f"{REFERENCE}/errors.md": errors_page(sources),
        "rules/private/declaration/declared.bzl": declared_bzl(),
        "rules/private/doctor/doctor_codes.bzl": doctor_codes_bzl(),
    }


def _extracted(variable: str) -> bytes:
    return Path(os.environ[variable]).read_bytes()
