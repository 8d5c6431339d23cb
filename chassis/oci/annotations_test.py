"""Annotations of a manifest, stamped and not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from chassis.oci.annotations import CREATED, AnnotationError, filled_in
from chassis.oci.descriptor import Platform
from chassis.oci.layout import RunSettings, write_documents
from chassis.oci.layout_reader import LayoutReader

BASE = "sha256:" + "b" * 64
LICENCES, REVISION = "org.opencontainers.image.licenses", "org.opencontainers.image.revision"


def test_what_needs_a_stamp_is_left_out_without_one() -> None:
    templates = {LICENCES: "MIT", REVISION: "{STABLE_GIT_COMMIT}", CREATED: "{BUILD_TIMESTAMP}"}
    assert filled_in(templates, None, "") == {LICENCES: "MIT"}
    status = {"STABLE_GIT_COMMIT": "abc", "BUILD_TIMESTAMP": "86400"}
    assert filled_in(templates, status, "") == {LICENCES: "MIT", REVISION: "abc", CREATED: "1970-01-02T00:00:00Z"}


def test_the_digest_of_the_base_needs_none() -> None:
    assert filled_in({"a": "x {BASE_DIGEST}"}, None, BASE) == {"a": f"x {BASE}"}
    with pytest.raises(AnnotationError, match="has no digest of its own"):
        filled_in({"a": "{BASE_DIGEST}"}, {}, "")


def test_a_key_that_is_not_there_is_named() -> None:
    with pytest.raises(AnnotationError, match="has no STABLE_GIT_COMMIT; it has: BUILD_USER"):
        filled_in({REVISION: "{STABLE_GIT_COMMIT}"}, {"BUILD_USER": "me"}, "")


def test_a_manifest_has_annotations_only_if_there_are_some(tmp_path: Path) -> None:
    plain = write_documents(tmp_path / "plain", Platform("arm64"), (), RunSettings())
    empty = write_documents(tmp_path / "empty", Platform("arm64"), (), RunSettings(), annotations={})
    assert plain == empty
    write_documents(tmp_path / "some", Platform("arm64"), (), RunSettings(), annotations={REVISION: "abc", "a": "b"})
    reader = LayoutReader(tmp_path / "some")
    manifest, _ = reader.image()
    assert json.loads(manifest.data)["annotations"] == {"a": "b", REVISION: "abc"}
    assert "annotations" not in json.loads(LayoutReader(tmp_path / "plain").image()[0].data)
