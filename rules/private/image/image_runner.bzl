"""What chassis_test and IMAGE.serve run an image with: a sandbox, and an emulator where its CPU is another."""

load("//rules/private/platform:target.bzl", "emulated_cpu")
load("//rules/private/tools:runfiles.bzl", "runfiles_path", "shell_quote")

RUNNER_ATTRS = {
    "_bwrap": attr.label(default = "//platforms/build_machine:bwrap", cfg = "exec", allow_single_file = True),
    "_emulator_amd64": attr.label(
        default = "//platforms/build_machine:qemu-x86_64",
        cfg = "exec",
        allow_single_file = True,
    ),
    "_emulator_arm64": attr.label(
        default = "//platforms/build_machine:qemu-aarch64",
        cfg = "exec",
        allow_single_file = True,
    ),
    "_emulator_files": attr.label(default = "//platforms/build_machine:emulator_files", cfg = "exec"),
    "_proot": attr.label(default = "//platforms/build_machine:proot", cfg = "exec", allow_single_file = True),
    "_starts_amd64": attr.label(default = "//platforms/build_machine:starts_amd64", cfg = "exec", allow_files = True),
    "_starts_arm64": attr.label(default = "//platforms/build_machine:starts_arm64", cfg = "exec", allow_files = True),
}

def located(ctx, file):
    """`file` as a word of a launcher that knows $RUNFILES_DIR."""
    return '"$RUNFILES_DIR/"' + shell_quote(runfiles_path(ctx, file))

def image_runner(ctx, image):
    """How to run an image.

    Args:
      ctx: context of a rule with `RUNNER_ATTRS`.
      image: ImageInfo.

    Returns:
      Flags as words of a launcher, and runfiles.
    """
    flags = [
        "--image=" + located(ctx, image.layout),
        "--bwrap=" + located(ctx, ctx.file._bwrap),
        "--proot=" + located(ctx, ctx.file._proot),
    ]
    files = [ctx.file._bwrap, ctx.file._proot]

    # Empty if the image's architecture is that of the build machine and no CPU is asked for.
    foreign = {"amd64": ctx.files._starts_amd64, "arm64": ctx.files._starts_arm64}[image.architecture]
    cpu = emulated_cpu(ctx.label, image.architecture, image.cpu, foreign)
    if cpu:
        emulator = {"amd64": ctx.file._emulator_amd64, "arm64": ctx.file._emulator_arm64}[image.architecture]
        flags += ["--emulator=" + located(ctx, emulator), "--emulator_cpu=" + cpu]
        files.append(emulator)
    return flags, ctx.runfiles(
        files,
        transitive_files = depset(transitive = [ctx.attr._emulator_files[DefaultInfo].files, image.files]),
    )
