"""The flags of the command line that say what layers are like, and what they mean to the layer tools."""

load("@bazel_skylib//rules:common_settings.bzl", "BuildSettingInfo")
load("//rules/private/doctor:doctor.bzl", "FACTS_ATTRS")
load("//rules/private/python:image_python.bzl", "interpreter_of", "python_of")

# For rules that make layers.
LAYER_ATTRS = FACTS_ATTRS | {
    "_bytecode": attr.label(default = "//rules:bytecode", providers = [BuildSettingInfo]),
    "_chunk_size": attr.label(default = "//rules:chunk_size", providers = [BuildSettingInfo]),
    "_compression": attr.label(default = "//rules:compression", providers = [BuildSettingInfo]),
    # Without `providers`: in an aspect, of a wheel, `python_of` says what is wrong with one that is not for the build machine. In a
    # rule Bazel says it before.
    "_image_python": attr.label(default = "//base_images:image_python"),
}

# What the tool takes (chassis/oci/layer/writer.py).
_MAX_CHUNK_BYTES = 1 << 26

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
      struct(args: list of string; jobs: int, processes that the tool starts, 0 if it compiles nothing; tools: what the
      action has among its `tools` for them).
    """
    compression = ctx.attr._compression[BuildSettingInfo].value
    chunk_size = ctx.attr._chunk_size[BuildSettingInfo].value
    if chunk_size < 0 or chunk_size > _MAX_CHUNK_BYTES:
        fail("\n--@chassis//rules:chunk_size=%d: expected 0 to %d bytes" % (chunk_size, _MAX_CHUNK_BYTES))
    if chunk_size and compression != "estargz":
        fail("\n--@chassis//rules:chunk_size=%d: layers of --@chassis//rules:compression=%s have no chunks; leave one of the two out" %
             (chunk_size, compression))
    jobs = 0
    if modules and ctx.attr._bytecode[BuildSettingInfo].value:
        jobs = COMPILING_JOBS if many else 1
    tools = []
    args = ["--compression=" + compression, "--python_version=" + python_of(ctx).version]
    if chunk_size:
        args.append("--chunk_size=%d" % chunk_size)
    if jobs:
        args += ["--bytecode", "--jobs=%d" % jobs]
        interpreter = interpreter_of(ctx)
        args += interpreter.args
        tools = interpreter.tools
    return struct(args = args, jobs = jobs, tools = tools)
