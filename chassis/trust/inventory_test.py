"""What an image's packages need, and what is inside wheels."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from chassis.doctor.elf import Elf
from chassis.doctor.facts import LayerFacts
from chassis.oci.descriptor import Descriptor, LayerDescriptor, LayerFile, Origin, Part
from chassis.trust.embedded_sbom import MAX_COMPONENTS, embedded_components
from chassis.trust.errors import RecordError
from chassis.trust.image_inventory import asserted_metrics, image_markers, model_card
from chassis.trust.inventory import KnownLayer, native_libraries, package_components, package_url, with_native
from chassis.trust.package_record import DEB, WHEEL, EmbeddedSbom, PackageRecord
from chassis.trust.sample_records import cyclonedx_text

ENVIRONMENT = image_markers("3.11", "arm64")
DIGEST = "sha256:" + "a" * 64
OWNER = "pkg:pypi/pictures@2.0"
PICTURES = PackageRecord(WHEEL, "pictures", "2.0", file="pictures-2.0-py3-none-any.whl")


def merged(text: str, path: str = "sboms/a.cdx.json") -> list[str]:
    return [one.ref for one in embedded_components(EmbeddedSbom(path, text), OWNER, PICTURES)]


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (PackageRecord(WHEEL, "scikit-learn", "1.9"), "pkg:pypi/scikit-learn@1.9"),
        (
            PackageRecord(DEB, "libc6", "2.36-9+deb12u1", architecture="amd64", source="glibc 2.36-9+deb12u1"),
            "pkg:deb/debian/libc6@2.36-9%2Bdeb12u1?arch=amd64&upstream=glibc",
        ),
        (
            PackageRecord(
                DEB, "zlib1g", "1:1.2-1+b1", architecture="arm64", source="zlib 1:1.2-1", distribution="debian-12"
            ),
            "pkg:deb/debian/zlib1g@1:1.2-1%2Bb1?arch=arm64&distro=debian-12&upstream=zlib%401:1.2-1",
        ),
        (PackageRecord(DEB, "tzdata", "1", architecture="all", source="tzdata 1"), "pkg:deb/debian/tzdata@1?arch=all"),
    ],
)
def test_package_urls(record: PackageRecord, expected: str) -> None:
    assert package_url(record) == expected


def test_packages_need_what_holds_on_the_target() -> None:
    records = [
        PackageRecord(WHEEL, "a", "1", requires=("B", 'c; platform_machine == "x86_64"', "d[fast]", "gone", "a")),
        PackageRecord(WHEEL, "b", "1", requires=("not a requirement at all!",)),
        PackageRecord(WHEEL, "c", "1"),
        PackageRecord(WHEEL, "d", "1", requires=('c; extra == "fast"', 'b; extra == "slow"')),
        PackageRecord(DEB, "app", "1", requires=("none|libx", "virtual", "a")),
        PackageRecord(DEB, "libx", "1", provides=("virtual",)),
    ]
    needs = {
        one.name: [ref.partition("@")[0].rpartition("/")[2] for ref in one.depends]
        for one in package_components(records, ENVIRONMENT)
    }
    assert needs == {"a": ["b", "d"], "b": [], "c": [], "d": ["c"], "app": ["libx"], "libx": []}


def test_what_a_wheel_declares_is_named_below_it() -> None:
    rpm = {
        "name": "freetype",
        "version": "2.9",
        "purl": "pkg:rpm/almalinux/freetype@2.9",
        "licenses": [{"license": {"id": "FTL"}}],
    }
    nested = {"name": "outer", "components": [{"name": "inner", "hashes": [{"alg": "SHA-256", "content": "b" * 64}]}]}
    own = {"name": "pictures", "purl": "pkg:pypi/pictures@2.0"}
    record = PackageRecord(
        WHEEL, "pictures", "2.0", sboms=(EmbeddedSbom("sboms/a.cdx.json", cyclonedx_text(own, rpm, nested)),)
    )
    wheel, *inside = package_components([record], ENVIRONMENT)
    assert {one.name: (one.version, one.licences, one.sha256) for one in inside} == {
        "freetype": ("2.9", ("FTL",), ""),
        "outer": ("", (), ""),
        "inner": ("", (), "b" * 64),
    }
    assert wheel.depends == tuple(sorted(one.ref for one in inside))
    assert all(one.ref.startswith(f"{OWNER}#") for one in inside)


def test_a_bill_of_materials_in_spdx_is_read() -> None:
    locator = {"referenceType": "purl", "referenceLocator": "pkg:cargo/serde@1.0"}
    packages = [
        {"name": "serde", "versionInfo": "1.0", "licenseDeclared": "MIT", "externalRefs": [locator]},
        {"name": "bare"},
    ]
    assert merged(json.dumps({"spdxVersion": "SPDX-2.3", "packages": packages})) == [
        f"{OWNER}#pkg:cargo/serde@1.0",
        f"{OWNER}#bare@",
    ]
    assert merged("SPDXVersion: SPDX-2.3", "sboms/a.spdx") == []


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[]", "is not a JSON object"),
        ('{"bomFormat": "CycloneDX", "components": {}}', "not a list of objects"),
        ('{"bomFormat": "CycloneDX", "components": [1]}', "not a list of objects"),
        (cyclonedx_text({"name": 3}), "is not a name"),
        (cyclonedx_text({"name": "a\nb"}), "is not a name"),
        (cyclonedx_text({"name": "a" * 3000}), "is not a name"),
        (cyclonedx_text({"name": "a", "purl": "no purl"}), "is not a bill of materials"),
        (cyclonedx_text({"name": "a", "licenses": ["MIT"]}), "is not a bill of materials"),
        (cyclonedx_text({"name": "a", "hashes": [{"alg": "SHA-256", "content": "zz"}]}), "is not a SHA-256"),
        (cyclonedx_text(*[{"name": "a"}] * (MAX_COMPONENTS + 1)), "at most 20000"),
        ('{"bomFormat": "CycloneDX"' + ', "components": [{"name": "a"' * 70 + "}]" * 70 + "}", "more than 64 deep"),
        (" " * (17 << 20), "may have"),
        ('{"packages": [{"name": "a", "externalRefs": [1]}]}', "is not a bill of materials"),
    ],
)
def test_a_hostile_bill_of_materials_is_refused_by_name(text: str, reason: str) -> None:
    begin = time.monotonic()
    with pytest.raises(RecordError, match=reason) as error:
        merged(text)
    assert str(error.value).startswith("pictures-2.0-py3-none-any.whl: sboms/a.cdx.json: ")
    assert len(str(error.value)) < 600
    assert time.monotonic() - begin < 5


def known_layer(paths: dict[str, Elf], parts: tuple[Part, ...] = ()) -> KnownLayer:
    descriptor = Descriptor("application/vnd.oci.image.layer.v1.tar+gzip", DIGEST, 5)
    origin = Origin("wheels", "numbers pictures") if parts else Origin("wheel", "pictures", "2.0")
    files = tuple(LayerFile(path, "file", 0o644, 3, DIGEST) for path in paths)
    elves = tuple((path, elf) for path, elf in paths.items() if elf.type)
    return KnownLayer(LayerDescriptor(descriptor, DIGEST, 10, origin, parts), LayerFacts(DIGEST, origin, files, elves))


def test_libraries_that_no_one_declares_are_named_from_facts() -> None:
    site = "opt/venv/lib/python3.11/site-packages"
    shared = Elf(type="shared", soname="libz.so")
    layer = known_layer(
        {
            f"{site}/pictures.libs/libgfortran-040039e1-0352e75f.so.5.0.0": shared,
            f"{site}/pictures.libs/libfreetype-9702cc5f.so.6": shared,
            f"{site}/pictures/_core.cpython-311-aarch64-linux-gnu.so": shared,
            f"{site}/pictures/libplugin.so": Elf(type="shared"),  # without a soname: a plugin
            f"{site}/pictures/tool": Elf(type="executable"),
            f"{site}/pictures/text.py": Elf(),
        }
    )
    declared = EmbeddedSbom("sboms/a.cdx.json", cyclonedx_text({"name": "FreeType2"}))
    packages = package_components([PackageRecord(WHEEL, "pictures", "2.0", sboms=(declared,))], ENVIRONMENT)
    found = native_libraries([layer], packages)
    assert [(one.name, one.version, one.sha256) for one in found] == [("libgfortran", "5.0.0", "a" * 64)]
    owner = next(one for one in with_native(packages, found) if one.ref == OWNER)
    assert found[0].ref in owner.depends


def test_a_library_in_a_shared_layer_is_its_own_wheels() -> None:
    shared = Elf(type="shared", soname="liba.so")
    parts = (Part("numbers", "1", 1, 3), Part("pictures", "2.0", 1, 3))
    layer = known_layer({"s/numbers.libs/liba.so": shared, "s/pictures.libs/libb.so": shared}, parts)
    packages = package_components(
        [PackageRecord(WHEEL, "numbers", "1"), PackageRecord(WHEEL, "pictures", "2.0")], ENVIRONMENT
    )
    assert {one.name: one.properties["chassis:in"] for one in native_libraries([layer], packages)} == {
        "liba": "pkg:pypi/numbers@1",
        "libb": OWNER,
    }


def test_the_models_card_has_its_inputs_and_outputs() -> None:
    metadata = {
        "model_type": "image classification",
        "inputs": {
            "photo": {"media_type": "image/jpeg"},
            "row": {"media_type": "application/octet-stream", "tensor": "FP32[3]"},
        },
        "outputs": {},
        "performance": "0.98 of held-out digits",
    }
    assert model_card(metadata) == {
        "modelParameters": {
            "task": "image classification",
            "inputs": [{"format": "photo: image/jpeg"}, {"format": "row: application/octet-stream FP32[3]"}],
        },
        "properties": [{"name": "chassis:performance", "value": "0.98 of held-out digits"}],
    }
    assert model_card({}) == {}


def test_the_card_has_the_accuracy_that_tests_assert(tmp_path: Path) -> None:
    cases = tmp_path / "held_out.json"
    held_out = {"inputs": [], "accuracy": {"at_least": 0.9, "labels": []}}
    cases.write_text(json.dumps([held_out, {"input": 1, "output": 2}, {**held_out, "name": "hard ones"}]))
    metrics = asserted_metrics([cases])
    assert [(one["slice"], one["value"]) for one in metrics] == [("held_out", "0.9"), ("hard ones", "0.9")]
    assert model_card({}, metrics) == {"quantitativeAnalysis": {"performanceMetrics": metrics}}
    for text, message in (
        ('{"input": 1, "output": 2}', "has no case with `accuracy`"),
        ('{"accuracy": {"at_least": true}}', "is a fraction, found True"),
    ):
        cases.write_text(text)
        with pytest.raises(RecordError, match=message):
            asserted_metrics([cases])
