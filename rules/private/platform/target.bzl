"""What a rule can know of its target platform, as `select`s over constraints."""

# The CPUs with a constraint value in `//platforms/cpu`, by architecture, to what plays them in QEMU 7.2 (`-cpu help`): the
# CPU itself, or else one that can do no more. x86's are the levels of the psABI, played by processors that have the level
# and nothing of the next; what QEMU warns of not having is left out, and without AVX-512 there is no x86-64-v4. Neoverse
# V1's is the exception, as QEMU's only other CPU with SVE lacks what else it has: `max` can do more.
CPUS = {
    "amd64": {
        "x86-64-v1": "qemu64,-cx16,-sse3",
        "x86-64-v2": "Nehalem",
        "x86-64-v3": "Haswell-noTSX,-invpcid,-pcid,-tsc-deadline,-x2apic",
    },
    "arm64": {
        "cortex-a53": "cortex-a53",
        "cortex-a57": "cortex-a57",
        "cortex-a72": "cortex-a72",
        "cortex-a76": "cortex-a76",
        "cortex-a78ae": "cortex-a76",
        "neoverse-n1": "neoverse-n1",
        "neoverse-v1": "max,sve256=on,pauth-impdef=on",
    },
}

# The versions with a constraint value in `//platforms/glibc`: those of distributions that are in use.
GLIBC_VERSIONS = [
    "2.17",
    "2.28",
    "2.31",
    "2.34",
    "2.35",
    "2.36",
    "2.39",
]

# If a platform names none.
DEFAULT_GLIBC = "2.28"

# The emulated CPU if a platform names none. Where it is the build machine's own, nothing is emulated then.
_BASELINE = {
    "amd64": "max",
    "arm64": "cortex-a57",
}

def emulated_cpu(label, architecture, cpu, foreign):
    """The emulator's CPU for a platform, as `qemu-… -cpu` takes it; "" if the image runs as it is.

    Args:
      label: the image's, for errors.
      architecture: as OCI names it.
      cpu: what `target_cpu` chose.
      foreign: whether the build machine has another CPU.

    Returns:
      A string.
    """
    if not cpu:
        return _BASELINE[architecture] if foreign else ""
    check_cpu(label, architecture, cpu)
    return CPUS[architecture][cpu]

def check_cpu(label, architecture, cpu):
    """Fails if a platform's `//platforms/cpu` is one of another architecture."""
    if cpu and cpu not in CPUS[architecture]:
        fail("\n%s: the platform is %s and its //platforms/cpu says %s, which is not one of those: %s" % (
            label,
            architecture,
            cpu,
            ", ".join(CPUS[architecture]),
        ))

# Made once, not for each of a thousand images.
_TARGET_CPU = select(
    {Label("//platforms/cpu:" + name): name for names in CPUS.values() for name in names} | {"//conditions:default": ""},
)

def target_cpu():
    """The CPU that the target platform names, "" if it names none: a value for a string attribute.

    Returns:
      A `select` over the constraint values of `//platforms/cpu`.
    """
    return _TARGET_CPU

# What a rule says if `target_architecture` is "".
UNKNOWN_PLATFORM = """no image can be made for this platform: Chassis knows Linux on x86_64 and aarch64.
Choose one with --platforms=, such as //platforms:amd64 or //platforms:arm64_gpu, or write one with those constraints."""

_TARGET_ARCHITECTURE = select({
    Label("//platforms:is_linux_amd64_any"): "amd64",
    Label("//platforms:is_linux_arm64_any"): "arm64",
    "//conditions:default": "",
})

def target_architecture():
    """The target's architecture as OCI names it, `amd64` or `arm64`, or "": a value for a string attribute.

    Returns:
      A `select` over the platform's operating system and CPU constraints.
    """
    return _TARGET_ARCHITECTURE

_TARGET_ACCELERATOR = select({
    Label("//platforms/accelerator:cuda"): "cuda",
    "//conditions:default": "none",
})

def target_accelerator():
    """The target's accelerator, `none` or `cuda`: a value for a string attribute.

    Returns:
      A `select` over the constraint values of `//platforms/accelerator`.
    """
    return _TARGET_ACCELERATOR

def target_glibc():
    """The oldest glibc to run on that the target platform names, such as `2.28`: a value for a string attribute.

    Returns:
      A `select` over the constraint values of `//platforms/glibc`.
    """
    choices = {Label("//platforms/glibc:" + version): version for version in GLIBC_VERSIONS}
    return select(choices | {"//conditions:default": DEFAULT_GLIBC})
