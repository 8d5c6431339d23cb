"""oci_load: brings an image into the container engine of this machine."""

load("//rules/private/tools:runfiles.bzl", "FIND_RUNFILES", "runfiles_path", "shell_quote")
load("//rules/providers:image_info.bzl", "ImageInfo")

_DOC = """Loads an image: `bazel run //model:load`, into podman, docker or containerd, whichever answers first.

`-- --output image.tar` writes the archive into a file, which podman, docker, skopeo (`oci-archive:`) and containerd take.
The archive is a stream: nothing is unpacked, and the same image gives the same bytes.
"""

_ATTRS = {
    "image": attr.label(mandatory = True, providers = [ImageInfo], doc = "The image."),
    "image_name": attr.string(doc = "What to call it, such as `localhost/digits:dev`; `--name` overrides it."),
    "_load": attr.label(default = "//chassis/tools:load", cfg = "exec", executable = True),
}

def _impl(ctx):
    image = ctx.attr.image[ImageInfo]
    name = ctx.attr.image_name or "localhost/%s:latest" % ctx.label.package.replace("/", "-").lower()
    launcher = ctx.actions.declare_file(ctx.label.name)
    ctx.actions.write(
        launcher,
        FIND_RUNFILES + 'exec "$RUNFILES_DIR/"%s --image="$RUNFILES_DIR/"%s %s "$@"\n' % (
            shell_quote(runfiles_path(ctx, ctx.executable._load)),
            shell_quote(runfiles_path(ctx, image.layout)),
            shell_quote("--name=" + name),
        ),
        is_executable = True,
    )
    runfiles = ctx.runfiles([ctx.executable._load], transitive_files = image.files).merge(
        ctx.attr._load[DefaultInfo].default_runfiles,
    )
    return [DefaultInfo(executable = launcher, runfiles = runfiles)]

_oci_load = rule(implementation = _impl, attrs = _ATTRS, doc = _DOC, executable = True)

def oci_load(name, image, image_name = "", **kwargs):
    """Loads an image: `bazel run //model:load`, into podman, docker or containerd, whichever answers first.

    Args:
      name: the target's name.
      image: the image; of several platforms take one with `platform_image`.
      image_name: what to call it there, such as `localhost/digits:dev`; `localhost/<package>:latest` by default.
        `--name` overrides it.
      **kwargs: Bazel's common attributes.
    """
    _oci_load(name = name, image = image, image_name = image_name, **kwargs)
