"""image_explain: what an image is made of, for people."""

load("//rules/private/tools:names.bzl", "names")
load("//rules/private/tools:runfiles.bzl", "FIND_RUNFILES", "runfiles_path", "shell_quote")
load("//rules/providers:image_info.bzl", "ImageInfo")

_DOC = """Explains an image: `bazel run //model:image.explain [-- --diff=OTHER_LAYOUT] [--html=FILE] [--json]`.

Reads what the build wrote beside the layers of its own, so that no layer has to be brought to the machine for it; only the
layers of a base that is an OCI layout are read themselves.
"""

_ATTRS = {
    "image": attr.label(mandatory = True, providers = [ImageInfo], doc = "The image to explain."),
    "_explain": attr.label(default = "//chassis/tools:explain", cfg = "exec", executable = True),
}

def _impl(ctx):
    image = ctx.attr.image[ImageInfo]

    # With a base that the build did not describe, its layers are read; else the documents say all.
    directory = image.layout if image.base_files else image.documents
    layers = ctx.actions.declare_file(ctx.label.name + ".layers.json")
    ctx.actions.write(layers, json.encode_indent([
        [runfiles_path(ctx, layer.descriptor), runfiles_path(ctx, layer.files)]
        for layer in image.layers
    ], indent = " ") + "\n")
    launcher = ctx.actions.declare_file(ctx.label.name)
    ctx.actions.write(
        launcher,
        FIND_RUNFILES + 'exec "$RUNFILES_DIR/"%s --image="$RUNFILES_DIR/"%s --name=%s --layers="$RUNFILES_DIR/"%s --layers_root="$RUNFILES_DIR" "$@"\n' % (
            shell_quote(runfiles_path(ctx, ctx.executable._explain)),
            shell_quote(runfiles_path(ctx, directory)),
            shell_quote(names.label_for_people(ctx.attr.image.label)),
            shell_quote(runfiles_path(ctx, layers)),
        ),
        is_executable = True,
    )
    files = [ctx.executable._explain, layers, directory] + image.base_files
    for layer in image.layers:
        files += [layer.descriptor, layer.files]
    runfiles = ctx.runfiles(files).merge(ctx.attr._explain[DefaultInfo].default_runfiles)
    return [DefaultInfo(executable = launcher, runfiles = runfiles)]

image_explain = rule(implementation = _impl, attrs = _ATTRS, doc = _DOC, executable = True)
