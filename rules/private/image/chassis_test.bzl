"""chassis_test: starts an image from its own root file system and compares its answers with cases."""

load("//rules/private/platform:platform_transition.bzl", "PLATFORM_ATTRS", "platform_label", "platform_transition")
load("//rules/private/tools:runfiles.bzl", "FIND_RUNFILES")
load("//rules/providers:image_info.bzl", "ImageInfo")
load(":image_runner.bzl", "RUNNER_ATTRS", "image_runner", "located")

_DOC = """An inference test of an image, under its own CPU."""

_ATTRS = PLATFORM_ATTRS | RUNNER_ATTRS | {
    "cases": attr.label_list(mandatory = True, allow_files = [".json"]),
    "data": attr.label_list(allow_files = True),
    "image": attr.label(mandatory = True, providers = [ImageInfo], cfg = platform_transition),
    "needs": attr.string_list(),
    "startup_timeout": attr.int(default = 120),
    "tolerance": attr.string(default = "1e-6"),
    "_runner": attr.label(default = "//chassis/tools:image_test_runner", cfg = "exec", executable = True),
}

# chassis/sandbox/ladder.py has them, too.
_NEEDS = ["children", "files", "network"]

def _impl(ctx):
    image = (ctx.attr.image[0] if type(ctx.attr.image) == "list" else ctx.attr.image)[ImageInfo]
    arguments, runfiles = image_runner(ctx, image)
    arguments += [
        "--tolerance=" + ctx.attr.tolerance,
        "--timeout=%d" % ctx.attr.startup_timeout,
    ]
    for need in ctx.attr.needs:
        if need not in _NEEDS:
            fail("\n%s: needs: %r is not one of %s" % (ctx.label, need, ", ".join(_NEEDS)))
        arguments.append("--needs=" + need)
    arguments += ["--case=" + located(ctx, case) for case in ctx.files.cases]
    launcher = ctx.actions.declare_file(ctx.label.name)
    ctx.actions.write(
        launcher,
        FIND_RUNFILES + "exec %s %s \"$@\"\n" % (located(ctx, ctx.executable._runner), " ".join(arguments)),
        is_executable = True,
    )
    runfiles = runfiles.merge_all([
        ctx.attr._runner[DefaultInfo].default_runfiles,
        ctx.runfiles(ctx.files.cases + ctx.files.data + [ctx.executable._runner]),
    ])
    return [DefaultInfo(executable = launcher, runfiles = runfiles)]

_chassis_test = rule(implementation = _impl, attrs = _ATTRS, doc = _DOC, test = True)

def chassis_test(name, image, cases, platform = None, data = [], needs = [], tolerance = "1e-6", startup_timeout = 120, size = "medium", **kwargs):
    """Starts an image from its own root file system and compares what the model answers with what is expected.

    If the image's CPU is not the build machine's, it runs under an emulator that is told to be the platform's CPU.
    Nothing of the build machine can be imported: the server sees the image's files, `/proc`, `/dev` and an empty `/tmp`.
    The sandbox is the best that the machine has, see docs/unprivileged.md; the test's log says which.

    Args:
      name: the target's name.
      image: the `chassis_image`.
      cases: case files, JSON, see docs/testing.md.
      platform: label of the platform to test; defaults to `--platforms`, or the build machine's.
      data: files that the cases name.
      needs: what the sandbox has to do, or the test fails and says why it does not: `files` (no file of the machine can be
        opened), `network` (the server connects to nothing but itself), `children` (the model starts programs, also where
        its CPU is emulated).
      tolerance: the most that a number may differ by, absolutely and relative to what is expected.
      startup_timeout: seconds that the server may take to be ready.
      size: Bazel's test size.
      **kwargs: Bazel's common attributes of tests.
    """
    _chassis_test(
        name = name,
        cases = cases,
        data = data,
        image = image,
        needs = needs,
        platform = platform_label(platform),
        size = size,
        startup_timeout = startup_timeout,
        tolerance = tolerance,
        **kwargs
    )
