"""chassis_test: starts an image from its own root file system and compares its answers with cases."""

load("//rules/private/platform:platform_transition.bzl", "PLATFORM_ATTRS", "platform_label", "platform_transition")
load("//rules/private/tools:names.bzl", "names")
load("//rules/private/tools:runfiles.bzl", "FIND_RUNFILES", "shell_quote")
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

# What of Bazel's attributes the command that updates cases takes from the test.
_FOR_BOTH = ["restricted_to", "target_compatible_with", "visibility"]

# chassis/sandbox/ladder.py has them, too.
_NEEDS = ["children", "files", "network"]

def _launcher(ctx, cases, more):
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
    for case in cases:
        arguments += ["--case=" + located(ctx, case), "--case_name=" + shell_quote(case.short_path)]
    launcher = ctx.actions.declare_file(ctx.label.name)
    ctx.actions.write(
        launcher,
        FIND_RUNFILES + "exec %s %s \"$@\"\n" % (located(ctx, ctx.executable._runner), " ".join(arguments + more)),
        is_executable = True,
    )
    runfiles = runfiles.merge_all([
        ctx.attr._runner[DefaultInfo].default_runfiles,
        ctx.runfiles(cases + ctx.files.data + [ctx.executable._runner]),
    ])
    return [DefaultInfo(executable = launcher, runfiles = runfiles)]

def _test_impl(ctx):
    update = names.label_for_people(ctx.label) + ".update"
    return _launcher(ctx, ctx.files.cases, ["--update_command=" + shell_quote("bazel run " + update)])

def _update_impl(ctx):
    cases = [case for case in ctx.files.cases if case.is_source and not case.owner.workspace_name]
    if not cases:
        fail("\n%s: none of the test's cases is a file of this workspace" % ctx.label)
    return _launcher(ctx, cases, ["--update"])

_chassis_test = rule(implementation = _test_impl, attrs = _ATTRS, doc = _DOC, test = True)

_chassis_test_update = rule(
    implementation = _update_impl,
    attrs = _ATTRS,
    doc = "Writes the answers of an image into the case files of its test.",
    executable = True,
)

def chassis_test(name, image, cases, platform = None, data = [], needs = [], tolerance = "1e-6", startup_timeout = 120, size = "medium", **kwargs):
    """Starts an image from its own root file system and compares what the model answers with what is expected.

    If the image's CPU is not the build machine's, it runs under an emulator that is told to be the platform's CPU.
    Nothing of the build machine can be imported: the server sees the image's files, `/proc`, `/dev` and an empty `/tmp`.
    The sandbox is the best that the machine has, see docs/unprivileged.md; the test's log says which.
    `bazel run //model:image_test.update` writes what the image answers into the case files, where they expect something else.

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
    if type(cases) == "list" and not cases:
        fail(("chassis_test(name = %r): cases is empty: a test without cases passes whatever the model answers\n" +
              "A glob that finds nothing does that: name case files, docs/testing.md") % name)
    told = dict(
        cases = cases,
        data = data,
        image = image,
        needs = needs,
        platform = platform_label(platform),
        startup_timeout = startup_timeout,
        tolerance = tolerance,
    )
    _chassis_test(name = name, size = size, **(told | kwargs))
    _chassis_test_update(
        name = name + ".update",
        testonly = True,
        tags = kwargs.get("tags", []) + ["manual"],
        **(told | {key: kwargs[key] for key in _FOR_BOTH if key in kwargs})
    )
