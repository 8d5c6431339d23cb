"""Provenance names what went in, by digest, and the commit only of a stamped build."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from chassis.oci.descriptor import Platform
from chassis.oci.layout import RunSettings, write_documents
from chassis.trust.errors import RecordError, SignatureError
from chassis.trust.image_inventory import ImageSpec, image_inventory, read_spec
from chassis.trust.package_record import PackageRecord
from chassis.trust.provenance import provenance_statement
from chassis.trust.statement import PROVENANCE, encode_statement, read_statements


def spec(folder: Path) -> ImageSpec:
    documents = folder / "documents"
    if not documents.exists():
        write_documents(documents, Platform("arm64"), (), RunSettings())
    (folder / "model.py").write_text("x = 1\n")
    return ImageSpec(
        name="//m:image",
        documents=documents,
        layers=(),
        records=(
            PackageRecord("wheel", "a", "1", sha256="c" * 64, lock="//:lock.txt, line 3"),
            PackageRecord("deb", "b", "2"),
        ),
        metadata={},
        model="m",
        version="1",
        python="3.11",
        parameters={"python": "3.11", "flags": {"bytecode": True}},
        sources={"m/model.py": folder / "model.py"},
    )


def test_what_went_in_is_named_by_digest(tmp_path: Path) -> None:
    statement = provenance_statement(spec(tmp_path), {})
    assert statement.digest == spec(tmp_path).digest
    definition = statement.predicate["buildDefinition"]
    assert definition["externalParameters"] == {"target": "//m:image", "python": "3.11", "flags": {"bytecode": True}}
    found = {entry["uri"]: entry for entry in definition["resolvedDependencies"]}
    assert found["pkg:pypi/a@1"]["digest"] == {"sha256": "c" * 64}
    assert found["pkg:pypi/a@1"]["annotations"] == {"lock": "//:lock.txt, line 3"}
    assert "digest" not in found["pkg:deb/debian/b@2"]
    assert len(found["file:m/model.py"]["digest"]["sha256"]) == 64
    assert not [uri for uri in found if uri.startswith("git")]
    with pytest.raises(RecordError, match="gone: cannot be read"):
        provenance_statement(replace(spec(tmp_path), sources={"x": tmp_path / "gone"}), {})


def test_a_changed_source_changes_the_provenance(tmp_path: Path) -> None:
    before = encode_statement(provenance_statement(spec(tmp_path), {}))
    assert encode_statement(provenance_statement(spec(tmp_path), {})) == before
    changed = spec(tmp_path)
    (tmp_path / "model.py").write_text("x = 2\n")
    assert encode_statement(provenance_statement(changed, {})) != before


def test_a_stamped_build_names_its_commit(tmp_path: Path) -> None:
    status = {"STABLE_GIT_COMMIT": "abc123", "STABLE_GIT_URL": "https://git.example/m", "BUILD_USER": "me"}
    statement = provenance_statement(spec(tmp_path), status)
    first = statement.predicate["buildDefinition"]["resolvedDependencies"][0]
    assert first == {"uri": "git+https://git.example/m", "digest": {"gitCommit": "abc123"}, "name": "commit"}
    assert b"BUILD_USER" not in encode_statement(statement)


def test_a_statement_is_read_as_it_was_written(tmp_path: Path) -> None:
    statement = provenance_statement(spec(tmp_path), {})
    assert read_statements(encode_statement(statement), "x") == [statement]
    assert statement.predicate_type == PROVENANCE
    for text in (b"", b"[]", b"{}", b'{"_type": "other", "subject": []}', b"[" * 50_000):
        with pytest.raises(SignatureError, match="x: is not an in-toto statement"):
            read_statements(text, "x")


def test_the_inventory_of_an_image_without_a_model_is_whole(tmp_path: Path) -> None:
    inventory = image_inventory(spec(tmp_path))
    assert {one.ref for one in inventory.components} == {"pkg:pypi/a@1", "pkg:deb/debian/b@2"}
    assert inventory.image.depends == ("pkg:deb/debian/b@2", "pkg:pypi/a@1")
    assert inventory.model_ref == ""


def test_a_specification_that_is_none_is_named(tmp_path: Path) -> None:
    file = tmp_path / "spec.json"
    for text in ("[]", "{}", json.dumps({"records": 3})):
        file.write_text(text)
        with pytest.raises(RecordError, match="is not the specification of an image"):
            read_spec(file)
