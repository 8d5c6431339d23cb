"""The machine that Bazel itself runs on, as repository rules see it; actions may run on others."""

_ARCHITECTURES = {
    "aarch64": "arm64",
    "amd64": "amd64",
    "arm64": "arm64",
    "x86_64": "amd64",
}

# Of Chassis' module, so that they are found from the repositories of any extension. Neither is fetched before it is asked for.
_PYTHONS = {
    "amd64": Label("@chassis_python//:python"),
    "arm64": Label("@chassis_python_arm64//:python"),
}

def host_cpu(rctx):
    """The machine's CPU as OCI names it, if that is known, else as Java does."""
    return _ARCHITECTURES.get(rctx.os.arch, rctx.os.arch)

def linux_architecture(rctx):
    """`amd64` or `arm64` if the machine runs Linux programs of it, "" otherwise."""
    cpu = host_cpu(rctx)
    return cpu if rctx.os.name == "linux" and cpu in _PYTHONS else ""

def host_pip(rctx):
    """The directory that has pip's package; on a machine that has no Python of ours, one that is not to be run.

    Args:
      rctx: the repository's context.

    Returns:
      A path.
    """
    return rctx.path(_PYTHONS[linux_architecture(rctx) or "amd64"]).dirname.get_child("pip")

def host_python(rctx):
    """The tools' Python for a program of a repository rule, with pip's package beside it as `pip`.

    Args:
      rctx: the repository's context.

    Returns:
      A path.
    """
    architecture = linux_architecture(rctx)
    if not architecture:
        fail("%s: it is fetched by a program for Linux on x86_64 or aarch64, and this machine is %s %s" %
             (rctx.name, rctx.os.name, rctx.os.arch))
    return rctx.path(_PYTHONS[architecture])
