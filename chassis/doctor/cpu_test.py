"""What CPUs have and what programs ask of them."""

from __future__ import annotations

import pytest

from chassis.doctor.cpu import features_of, features_of_property, level_of_bits, missing

MISSING = {
    (("avx2",), "amd64", "", ""): ("avx2",),
    (("avx2",), "amd64", "x86-64-v2", ""): ("avx2",),
    (("avx2",), "amd64", "Haswell", ""): (),
    (("AVX2", "sse4_2"), "amd64", "", "v3"): (),
    (("x86-64-v3",), "amd64", "Nehalem", ""): ("x86-64-v3",),
    (("x86-64-v2",), "amd64", "Nehalem", ""): (),
    (("sve",), "arm64", "cortex-a78ae", "v8"): ("sve",),
    (("sve", "neon", "dotprod"), "arm64", "neoverse-v1", ""): (),
    (("dotprod",), "arm64", "", "v8"): ("dotprod",),
    (("sve",), "arm64", "a-cpu-of-next-year", ""): (),
}
PROPERTIES = {
    "x86_64 :: level :: v3": ("x86-64-v3",),
    "x86_64 :: avx2 :: on": ("avx2",),
    "aarch64 :: version :: 8.2a": ("lse", "rdm"),
    "aarch64 :: version :: 8a": (),
    "aarch64 :: sve :: on": ("sve",),
    "nonsense": (),
}


@pytest.mark.parametrize("case", MISSING)
def test_missing_features(case: tuple[tuple[str, ...], str, str, str]) -> None:
    assert missing(*case) == MISSING[case]


@pytest.mark.parametrize("text", PROPERTIES)
def test_properties_of_wheel_variants(text: str) -> None:
    assert features_of_property(text) == PROPERTIES[text]


@pytest.mark.parametrize(("bits", "level"), [(0, 0), (1, 1), (0b11, 2), (0b100, 3), (0b1111, 4)])
def test_level_of_the_property(bits: int, level: int) -> None:
    assert level_of_bits(bits) == level


def test_every_cpu_that_a_platform_can_name_is_known() -> None:
    for name in ("cortex-a53", "cortex-a57", "cortex-a72", "cortex-a76", "cortex-a78ae", "neoverse-n1", "neoverse-v1"):
        assert features_of("arm64", name) is not None
