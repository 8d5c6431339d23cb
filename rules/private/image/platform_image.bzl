"""platform_image: an image for one platform, whatever `--platforms` says."""

load("//rules/private/platform:platform_transition.bzl", "PLATFORM_ATTRS", "platform_label", "platform_transition")
load("//rules/providers:image_info.bzl", "ImageInfo")
load(":image_explain.bzl", "image_explain")
load(":image_sbom.bzl", "attestation_targets")
load(":layouts_flag.bzl", "LAYOUTS_ATTRS", "layout_files", "layout_runfiles")

_DOC = """An image built for the platform of its own attribute."""

_ATTRS = PLATFORM_ATTRS | LAYOUTS_ATTRS | {
    "image": attr.label(mandatory = True, providers = [ImageInfo], cfg = platform_transition, doc = "The image."),
}

def _impl(ctx):
    # With a transition, a single-valued attribute is a list of one.
    image = ctx.attr.image[0] if type(ctx.attr.image) == "list" else ctx.attr.image
    info = image[ImageInfo]

    # A name of its own: images of several platforms would have one path in a runfiles tree.
    layout = ctx.actions.declare_directory(ctx.label.name)
    ctx.actions.symlink(output = layout, target_file = info.layout)
    files = depset([layout], transitive = [info.files])
    return [
        DefaultInfo(files = layout_files(ctx, info.documents, layout), runfiles = layout_runfiles(ctx, depset([layout]))),
        ImageInfo(
            accelerator = info.accelerator,
            all_layers = info.all_layers,
            architecture = info.architecture,
            base_files = info.base_files,
            base_layout = info.base_layout,
            cpu = info.cpu,
            documents = info.documents,
            files = files,
            held = info.held,
            layers = info.layers,
            layout = layout,
            model = info.model,
            software = info.software,
            sources = info.sources,
        ),
    ]

_platform_image = rule(implementation = _impl, attrs = _ATTRS, doc = _DOC, provides = [ImageInfo])

def platform_image(name, image, platform, **kwargs):
    """An image for one platform, whatever `--platforms` says.

    `bazel run //model:image_arm64.explain` says what it is made of, as for a `chassis_image`.

    Args:
      name: the target's name.
      image: the `chassis_image`.
      platform: label of the platform.
      **kwargs: Bazel's common attributes.
    """
    _platform_image(name = name, image = image, platform = platform_label(platform), **kwargs)
    image_explain(
        name = name + ".explain",
        image = name,
        **(kwargs | {"tags": kwargs.get("tags", []) + ["manual"]})
    )
    attestation_targets(name, **kwargs)
