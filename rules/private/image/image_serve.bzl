"""image_serve: an image's server, on this machine, for whoever wants to try it."""

load("//rules/private/tools:names.bzl", "names")
load("//rules/private/tools:runfiles.bzl", "FIND_RUNFILES", "shell_quote")
load("//rules/providers:image_info.bzl", "ImageInfo")
load(":image_runner.bzl", "RUNNER_ATTRS", "image_runner", "located")

_DOC = """Serves an image until Ctrl-C: `bazel run //model:image.serve [-- --port=8080] [--grpc_port=45000] [--env=NAME=VALUE]`.

The server runs from the image's own root, as in `chassis_test`, and under an emulator where the platform's CPU is not this
machine's. It prints commands that ask the model, and serves a page to try it on in a browser (`--page_port`, 8090).
"""

_ATTRS = RUNNER_ATTRS | {
    "image": attr.label(mandatory = True, providers = [ImageInfo], doc = "The image to serve."),
    "_serve": attr.label(default = "//chassis/tools:serve_image", cfg = "exec", executable = True),
}

def _impl(ctx):
    image = ctx.attr.image[ImageInfo]
    flags, runfiles = image_runner(ctx, image)
    launcher = ctx.actions.declare_file(ctx.label.name)
    ctx.actions.write(
        launcher,
        FIND_RUNFILES + "exec %s --name=%s %s \"$@\"\n" % (
            located(ctx, ctx.executable._serve),
            shell_quote(names.label_for_people(ctx.attr.image.label)),
            " ".join(flags),
        ),
        is_executable = True,
    )
    runfiles = runfiles.merge_all([ctx.attr._serve[DefaultInfo].default_runfiles, ctx.runfiles([ctx.executable._serve])])
    return [DefaultInfo(executable = launcher, runfiles = runfiles)]

image_serve = rule(implementation = _impl, attrs = _ATTRS, doc = _DOC, executable = True)
