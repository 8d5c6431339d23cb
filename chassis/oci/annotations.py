"""What a manifest is annotated with: plain values, and values that the workspace's status or the base fills in.

`{KEY}` is a key of the workspace's status: an annotation with one is left out of a build that is not stamped.
`{BASE_DIGEST}` is the digest of the image's base. Specification: OCI image specification,
annotations.md.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime

from chassis.errors import ChassisError

CREATED = "org.opencontainers.image.created"
BASE_DIGEST = "BASE_DIGEST"
_PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_MAX_SECONDS = 253402300799  # the end of the year 9999


class AnnotationError(ChassisError):
    """An annotation cannot be made."""


def filled_in(templates: Mapping[str, str], status: Mapping[str, str] | None, base_digest: str) -> dict[str, str]:
    """The annotations of a manifest. `status` is None if the build is not stamped; seconds as the value of `created`
    become the time in RFC 3339.

    Raises:
      AnnotationError: a stamped build has no such key, or there is no manifest below the image.
    """
    found = {}
    for name, template in templates.items():
        keys = set(_PLACEHOLDER.findall(template))
        if keys - {BASE_DIGEST} and status is None:
            continue
        values = dict(status or {}) | ({BASE_DIGEST: base_digest} if base_digest else {})
        for key in sorted(keys):
            if not values.get(key, "").strip():
                raise AnnotationError(_lacking(name, template, key, values))
        value = _PLACEHOLDER.sub(lambda match, values=values: values[match[1]].strip(), template)  # type: ignore[misc]
        found[name] = _time(value) if name == CREATED and keys else value
    return found


def _lacking(name: str, template: str, key: str, values: Mapping[str, str]) -> str:
    if key == BASE_DIGEST:
        return (
            f"annotation {name} = {template!r}: the base is made of layers of this build and has no digest of its own\n"
            "  leave the annotation out, or take a base that is an image"
        )
    known = ", ".join(sorted(values)) or "none"
    return (
        f"annotation {name} = {template!r}: the workspace's status has no {key}; it has: {known}\n"
        f"  let the command of --workspace_status_command print a line `{key} value`"
    )


def _time(value: str) -> str:
    if value.isascii() and value.isdigit() and int(value) <= _MAX_SECONDS:
        return datetime.fromtimestamp(int(value), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return value
