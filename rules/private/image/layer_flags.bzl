"""The flags of the command line that say what layers are like, and what they mean to the layer tools."""

load("@bazel_skylib//rules:common_settings.bzl", "BuildSettingInfo")
load("//rules/private/doctor:doctor.bzl", "FACTS_ATTRS")
load("//rules/providers:tool_python_info.bzl", "ToolPythonInfo")

# For rules that make layers.
LAYER_ATTRS = FACTS_ATTRS | {
    "_bytecode": attr.label(default = "//rules:bytecode", providers = [BuildSettingInfo]),
    "_chunk_size": attr.label(default = "//rules:chunk_size", providers = [BuildSettingInfo]),
    "_compression": attr.label(default = "//rules:compression", providers = [BuildSettingInfo]),
}

# What the tool takes (chassis/oci/layer/writer.py).
_MOST_CHUNK_BYTES = 1 << 26

# Processes that compile for a layer of very many modules, whose action takes as many CPUs: it waits until so many are
# free, and so most layers are made with one.
COMPILING_JOBS = 2

# The size from which on a wheel is thought to have very many.
MANY_MODULES_BYTES = 64 << 20

def layer_flags(ctx, modules, many):
    """The arguments that every layer tool takes of the command line's flags.

    Args:
      ctx: context of a rule or an aspect with `LAYER_ATTRS`.
      modules: bool, whether the layer holds modules that are imported as they are.
      many: bool, whether they are so many that `COMPILING_JOBS` processes are worth it.

    Returns:
      struct(args: list of string; jobs: int, processes that the tool starts, 0 where it compiles nothing).
    """
    compression = ctx.attr._compression[BuildSettingInfo].value
    chunk_size = ctx.attr._chunk_size[BuildSettingInfo].value
    if chunk_size < 0 or chunk_size > _MOST_CHUNK_BYTES:
        fail("\n--@chassis//rules:chunk_size=%d: expected 0 to %d bytes" % (chunk_size, _MOST_CHUNK_BYTES))
    if chunk_size and compression != "estargz":
        fail("\n--@chassis//rules:chunk_size=%d: layers of --@chassis//rules:compression=%s have no chunks; leave one of the two out" %
             (chunk_size, compression))
    jobs = 0
    if modules and ctx.attr._bytecode[BuildSettingInfo].value:
        jobs = COMPILING_JOBS if many else 1
    args = ["--compression=" + compression]
    if chunk_size:
        args.append("--chunk_size=%d" % chunk_size)
    if jobs:
        args += ["--bytecode", "--jobs=%d" % jobs]
    return struct(args = args, jobs = jobs)

def tool_python_version(tool):
    """The minor version of the Python that runs a tool, whose wheels' layers are for it; None where it is not known."""
    return tool[ToolPythonInfo].python_version if ToolPythonInfo in tool else None
