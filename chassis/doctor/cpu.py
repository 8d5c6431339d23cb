"""What the CPUs that platforms name can do, and what programs declare to need of them.

Names of features are those of GCC's -m options and of /proc/cpuinfo. Levels: x86-64 psABI, "Micro-Architecture
Levels". CPUs: by QEMU's names, their makers' technical reference manuals.
"""

from __future__ import annotations

_V2 = frozenset(("cx16", "lahf_lm", "popcnt", "sse3", "ssse3", "sse4.1", "sse4.2"))
_V3 = _V2 | {"avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "lzcnt", "movbe", "xsave"}
_V4 = _V3 | {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"}
X86_LEVELS: tuple[frozenset[str], ...] = (frozenset(), _V2, _V3, _V4)
"""What each level from x86-64-v1 on has beyond the first."""

_ARMV8_0 = frozenset(("fp", "asimd", "crc", "aes", "sha1", "sha2"))
_ARMV8_2 = _ARMV8_0 | {"lse", "rdm", "fp16", "dotprod", "rcpc"}
_CPUS: dict[str, dict[str, frozenset[str]]] = {
    "amd64": {
        "": frozenset(),
        "x86-64-v1": frozenset(),
        "x86-64-v2": _V2,
        "x86-64-v3": _V3,
        "x86-64-v4": _V4,
        "qemu64": frozenset(("cx16", "sse3")),
        "Nehalem": _V2,
        "Haswell": _V3,
        "Skylake-Client": _V3,
        "Skylake-Server": _V4,
        "EPYC": _V3,
        "EPYC-Genoa": _V4,
    },
    "arm64": {
        "": _ARMV8_0,
        "cortex-a53": _ARMV8_0,
        "cortex-a57": _ARMV8_0,
        "cortex-a72": _ARMV8_0,
        "cortex-a76": _ARMV8_2,
        "cortex-a78ae": _ARMV8_2,
        "neoverse-n1": _ARMV8_2,
        "neoverse-v1": _ARMV8_2 | {"bf16", "i8mm", "jscvt", "fcma", "sve"},
        "neoverse-n2": _ARMV8_2 | {"bf16", "i8mm", "jscvt", "fcma", "sve", "sve2"},
        "neoverse-v2": _ARMV8_2 | {"bf16", "i8mm", "jscvt", "fcma", "sve", "sve2"},
    },
}
_OTHER_NAMES = {
    "neon": "asimd",
    "sse4_1": "sse4.1",
    "sse4_2": "sse4.2",
    "abm": "lzcnt",
    "pni": "sse3",
    "atomics": "lse",
}
# What the second of wheel variants' `aarch64 :: version :: 8.2a` stands for, as far as a CPU here tells it apart.
_ARM_VERSIONS = {"8a": frozenset[str](), "8.1a": frozenset(("lse", "rdm")), "8.2a": frozenset(("lse", "rdm"))}


def features_of(architecture: str, cpu: str, variant: str = "") -> frozenset[str] | None:
    """What a CPU has, None if it is not known here; the OCI platform's `variant` `v3` tells amd64's level."""
    if architecture == "amd64" and not cpu and variant in ("v1", "v2", "v3", "v4"):
        return X86_LEVELS[int(variant[1]) - 1]
    return _CPUS.get(architecture, {}).get(cpu)


def known_cpus(architecture: str) -> tuple[str, ...]:
    """The names of CPUs of an architecture that `features_of` knows."""
    return tuple(name for name in _CPUS.get(architecture, {}) if name)


def missing(wanted: tuple[str, ...], architecture: str, cpu: str, variant: str = "") -> tuple[str, ...]:
    """Those of `wanted` that the CPU lacks, in their order; none if the CPU is not known here."""
    present = features_of(architecture, cpu, variant)
    if present is None:
        return ()
    return tuple(name for name in wanted if _canonical(name) not in present and not _is_level_of(name, present))


def level_of_bits(bits: int) -> int:
    """The level, 1 to 4, that GNU_PROPERTY_X86_ISA_1_NEEDED's bits ask for; 0 if they ask for none."""
    return min(bits.bit_length(), 4)


def level_of(features: frozenset[str]) -> int:
    """The highest level of x86-64, 1 to 4, that has no feature beyond `features`."""
    return max(number for number, level in enumerate(X86_LEVELS, 1) if level <= features)


def features_of_property(text: str) -> tuple[str, ...]:
    """What a wheel variant's property (`x86_64 :: level :: v3`) asks for, as feature names."""
    namespace, feature, value = ([part.strip() for part in text.split("::")] + ["", "", ""])[:3]
    if namespace == "x86_64" and feature == "level":
        return (f"x86-64-{value}",)
    if namespace == "aarch64" and feature == "version":
        return tuple(sorted(_ARM_VERSIONS.get(value, ())))
    return (feature,) if value == "on" else ()


def _canonical(name: str) -> str:
    lower = name.lower()
    return _OTHER_NAMES.get(lower, lower)


def _is_level_of(name: str, present: frozenset[str]) -> bool:
    for number, level in enumerate(X86_LEVELS, 1):
        if name.lower() == f"x86-64-v{number}":
            return level <= present
    return False
