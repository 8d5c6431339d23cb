"""The bills of materials of real images: valid, whole, and of the image that was built.

What is installed is read from the image's own layers, by Python's tarfile.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tarfile
from email.parser import Parser
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from spdx_tools.spdx.parser.parse_anything import parse_file
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

IMAGES = ("MODEL", "ARM64")


def file_of(image: str, what: str) -> Path:
    """The image's layout directory (LAYOUT), or one of its documents (CDX, SPDX)."""
    return Path(os.environ[f"{image}_{what}"])


def document(image: str, what: str) -> dict[str, Any]:
    return json.loads(file_of(image, what).read_bytes())


def manifest(image: str) -> tuple[str, dict[str, Any]]:
    layout = file_of(image, "LAYOUT")
    digest = json.loads((layout / "index.json").read_bytes())["manifests"][0]["digest"]
    return digest, json.loads((layout / "blobs" / digest.replace(":", "/")).read_bytes())


def installed(image: str) -> set[tuple[str, str]]:
    """Name and version of every package that the layers have."""
    found = set()
    for layer in manifest(image)[1]["layers"]:
        with tarfile.open(file_of(image, "LAYOUT") / "blobs" / layer["digest"].replace(":", "/")) as archive:
            for entry in archive:
                if re.search(r"site-packages/[^/]+\.dist-info/METADATA$", entry.name):
                    fields = Parser().parsestr(archive.extractfile(entry).read().decode())
                    found.add((re.sub(r"[-_.]+", "-", fields["Name"]).lower(), fields["Version"]))
                elif re.search(r"var/lib/dpkg/status\.d/[^/]+$", entry.name) and not entry.name.endswith(".md5sums"):
                    fields = Parser().parsestr(archive.extractfile(entry).read().decode())
                    found.add((fields["Package"], fields["Version"]))
    return found


@pytest.mark.parametrize("image", IMAGES)
def test_every_installed_package_is_in_both(image: str) -> None:
    there = installed(image)
    assert len(there) > 30
    components = {(one["name"], one.get("version")) for one in document(image, "CDX")["components"]}
    packages = {(one["name"], one.get("versionInfo")) for one in document(image, "SPDX")["packages"]}
    assert there <= components
    assert there <= packages


@pytest.mark.parametrize("image", IMAGES)
def test_both_are_valid_by_their_official_schemas(image: str, tmp_path: Path) -> None:
    cyclonedx, spdx = document(image, "CDX"), document(image, "SPDX")
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(cyclonedx)) is None
    file = tmp_path / "image.spdx.json"
    file.write_text(json.dumps(spdx))
    assert validate_full_spdx_document(parse_file(str(file)), "SPDX-2.3") == []


@pytest.mark.parametrize("image", IMAGES)
def test_they_are_of_the_image(image: str) -> None:
    digest, _ = manifest(image)
    subject = document(image, "CDX")["metadata"]["component"]
    assert subject["hashes"] == [{"alg": "SHA-256", "content": digest.removeprefix("sha256:")}]
    architecture = "arm64" if image == "ARM64" else "amd64"
    assert subject["purl"].endswith(f"?arch={architecture}")


@pytest.mark.parametrize("image", IMAGES)
def test_packages_have_digests_licences_and_what_they_need(image: str) -> None:
    components = {one["name"]: one for one in document(image, "CDX")["components"]}
    packages = [one for one in components.values() if re.match("pkg:(pypi|deb)/", one.get("purl", ""))]
    assert all(one["hashes"][0]["alg"] == "SHA-256" for one in packages)
    assert sum(bool(one.get("licenses")) for one in packages) > len(packages) * 0.6
    graph = {one["ref"]: one.get("dependsOn", []) for one in document(image, "CDX")["dependencies"]}
    ref = {name: one["bom-ref"] for name, one in components.items()}
    assert ref["libc6"] in graph[ref["zlib1g"]]
    assert ref["grpcio"] in graph[ref["grpcio-health-checking"]]


def test_libraries_in_wheels_the_server_and_the_model_are_components() -> None:
    components = {one["name"]: one for one in document("MODEL", "CDX")["components"]}
    properties = {one["name"]: one["value"] for one in components["libgfortran"]["properties"]}
    assert properties["chassis:in"] == components["numpy"]["bom-ref"]
    assert components["chassis-server"]["type"] == "application"
    assert components["chassis-server"]["version"] == "0.1.0"
    model = components["Digits Classifier"]
    assert model["type"] == "machine-learning-model"
    assert model["modelCard"]["modelParameters"]["inputs"] == [{"format": "input: application/json"}]
    weights = components["app/data/weights.npz"]
    layers = manifest("MODEL")[1]["layers"]
    paths = {}
    for layer in layers[-2:]:
        with tarfile.open(file_of("MODEL", "LAYOUT") / "blobs" / layer["digest"].replace(":", "/")) as archive:
            for entry in archive:
                if entry.isfile():
                    paths[entry.name] = archive.extractfile(entry).read()
    assert weights["hashes"][0]["content"] == hashlib.sha256(paths["app/data/weights.npz"]).hexdigest()
    assert model["hashes"][0]["content"] == hashlib.sha256(paths["app/model/model.pkl"]).hexdigest()


def test_the_card_has_the_accuracy_that_tests_assert() -> None:
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(document("SIGNED", "CDX"))) is None
    (model,) = [one for one in document("SIGNED", "CDX")["components"] if "modelCard" in one]
    (metric,) = model["modelCard"]["quantitativeAnalysis"]["performanceMetrics"]
    assert (metric["type"], metric["value"]) == ("accuracy", "0.95")


def test_annotations_are_there_only_if_they_are_asked_for_and_stamped() -> None:
    assert "annotations" not in manifest("MODEL")[1]
    annotated = manifest("ANNOTATED")[1]
    assert annotated["annotations"] == {"org.opencontainers.image.licenses": "Apache-2.0"}
    assert annotated["layers"] == manifest("MODEL")[1]["layers"]
