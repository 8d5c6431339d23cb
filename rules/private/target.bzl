"""What a rule can know of its target platform, as `select`s over constraints."""

# The CPUs with a constraint value in `//platforms/cpu`, by QEMU's names (`qemu-aarch64 -cpu help` prints them).
CPUS = [
    "cortex-a53",
    "cortex-a57",
    "cortex-a72",
    "cortex-a76",
    "cortex-a78ae",
    "neoverse-n1",
    "neoverse-v1",
]

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

# Where a platform names none.
DEFAULT_GLIBC = "2.28"

# The emulated CPU where a platform names none.
BASELINE = {
    "amd64": "",
    "arm64": "cortex-a57",
}

def target_cpu():
    """The CPU that the target platform names, "" where it names none: a value for a string attribute.

    Returns:
      A `select` over the constraint values of `//platforms/cpu`.
    """
    choices = {Label("//platforms/cpu:" + name): name for name in CPUS}
    return select(choices | {"//conditions:default": ""})

# What a rule says where `target_architecture` is "".
UNKNOWN_PLATFORM = """no image can be made for this platform: Chassis knows Linux on x86_64 and aarch64.
Choose one with --platforms=, such as //platforms:amd64 or //platforms:arm64_gpu, or write one with those constraints."""

def target_architecture():
    """The target's architecture as OCI names it, `amd64` or `arm64`, or "": a value for a string attribute.

    Returns:
      A `select` over the platform's operating system and CPU constraints.
    """
    return select({
        Label("//platforms:is_linux_amd64_any"): "amd64",
        Label("//platforms:is_linux_arm64_any"): "arm64",
        "//conditions:default": "",
    })

def target_accelerator():
    """The target's accelerator, `none` or `cuda`: a value for a string attribute.

    Returns:
      A `select` over the constraint values of `//platforms/accelerator`.
    """
    return select({
        Label("//platforms/accelerator:cuda"): "cuda",
        "//conditions:default": "none",
    })

def target_glibc():
    """The oldest glibc to run on that the target platform names, such as `2.28`: a value for a string attribute.

    Returns:
      A `select` over the constraint values of `//platforms/glibc`.
    """
    choices = {Label("//platforms/glibc:" + version): version for version in GLIBC_VERSIONS}
    return select(choices | {"//conditions:default": DEFAULT_GLIBC})
