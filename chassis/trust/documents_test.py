"""Both formats of the bill of materials, held against the validators of their own packages."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from spdx_tools.spdx.parser.parse_anything import parse_file
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

from chassis.trust.component import CONTAINER, LIBRARY, MODEL, Component, Inventory
from chassis.trust.cyclonedx_document import cyclonedx_document
from chassis.trust.image_inventory import model_card
from chassis.trust.licences import spdx_expression
from chassis.trust.spdx_document import spdx_document


def sample() -> Inventory:
    digest = "c" * 64
    image = Component(
        "pkg:oci/m@sha256:c", CONTAINER, "m", "1", "pkg:oci/m@sha256%3Ac", digest, depends=("pkg:pypi/a@1",)
    )
    odd = Component(
        "pkg:pypi/a@1",
        LIBRARY,
        "a & <b>",
        "1",
        "pkg:pypi/a@1",
        digest,
        "a-1-py3-none-any.whl",
        licences=("ask my lawyer", "MIT"),
        supplier="Ünï Cödé <u@example>",
        homepage="not a URL",
        summary='says "so"',
        depends=("gone", "lib#1"),
        properties={"chassis:kind": "wheel"},
    )
    inside = Component("lib#1", LIBRARY, "libz", homepage="https://z.example/", licences=("Zlib", "GPL-2+"))
    model = Component("model:m@1", MODEL, "The model", "1", sha256=digest)
    card = model_card({"model_type": "t", "inputs": {"x": {"media_type": "a/b"}}, "details": "some"})
    return Inventory(image, (inside, model, odd), "model:m@1", card)


def test_cyclonedx_is_valid_and_has_the_graph_and_the_card() -> None:
    text = cyclonedx_document(sample()).decode()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    document = json.loads(text)
    assert document["specVersion"] == "1.6"
    components = {one["bom-ref"]: one for one in document["components"]}
    assert components["model:m@1"]["modelCard"]["modelParameters"]["task"] == "t"
    assert components["pkg:pypi/a@1"]["licenses"] == [
        {"license": {"id": "MIT"}},
        {"license": {"name": "ask my lawyer"}},
    ]
    assert components["lib#1"]["licenses"] == [{"expression": "Zlib AND GPL-2.0-or-later"}]
    graph = {one["ref"]: one.get("dependsOn", []) for one in document["dependencies"]}
    assert graph["pkg:oci/m@sha256:c"] == ["pkg:pypi/a@1"]
    assert graph["pkg:pypi/a@1"] == ["lib#1"]


def test_the_validator_sees_a_document_that_is_wrong() -> None:
    document = json.loads(cyclonedx_document(sample()))
    document["components"][0]["type"] = "thing"
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(document)) is not None


def test_spdx_is_valid_and_has_the_graph(tmp_path: Path) -> None:
    file = tmp_path / "image.spdx.json"
    file.write_bytes(spdx_document(sample()))
    assert validate_full_spdx_document(parse_file(str(file)), "SPDX-2.3") == []
    document = json.loads(file.read_bytes())
    packages = {one["name"]: one for one in document["packages"]}
    assert packages["a & <b>"]["licenseDeclared"] == "NOASSERTION"
    assert packages["a & <b>"]["licenseComments"] == "declared as: ask my lawyer; MIT"
    assert packages["libz"]["licenseDeclared"] == "Zlib AND GPL-2.0-or-later"
    relations = {
        (one["spdxElementId"], one["relationshipType"], one["relatedSpdxElement"]) for one in document["relationships"]
    }
    assert (packages["a & <b>"]["SPDXID"], "DEPENDS_ON", packages["libz"]["SPDXID"]) in relations


def test_both_are_the_same_bytes_each_time_and_name_no_time() -> None:
    for write in (cyclonedx_document, spdx_document):
        assert write(sample()) == write(sample())
    assert "timestamp" not in json.loads(cyclonedx_document(sample()))["metadata"]
    assert json.loads(spdx_document(sample()))["creationInfo"]["created"] == "1970-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("licences", "expected"),
    [
        (["MIT"], "MIT"),
        (["Expat"], "MIT"),
        (["GPL-2+"], "GPL-2.0-or-later"),
        (["LGPL-2.1"], "LGPL-2.1-only"),
        (["mit or apache-2.0"], "MIT OR Apache-2.0"),
        (["MIT OR Zlib", "BSD-3-clause"], "(MIT OR Zlib) AND BSD-3-Clause"),
        (["MIT", "public-domain"], ""),
        (["AND AND"], ""),
        (["MIT WITH"], ""),
        ([""], ""),
        ([], ""),
    ],
)
def test_licences_become_expressions_where_they_are_known(licences: list[str], expected: Any) -> None:
    assert spdx_expression(licences) == expected
