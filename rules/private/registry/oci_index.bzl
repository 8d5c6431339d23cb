"""oci_index: one image for several platforms, as one index."""

load("//rules/private/image:image_sbom.bzl", "image_sbom")
load("//rules/private/image:layouts_flag.bzl", "LAYOUTS_ATTRS", "layout_files", "layout_runfiles")
load("//rules/providers:image_info.bzl", "ImageInfo", "IndexInfo")

_DOC = """An index over an image built for several platforms at once. Its output is an OCI image layout directory."""

def _each_platform_impl(_settings, attr):
    return {platform: {"//command_line_option:platforms": platform} for platform in attr.platforms}

_each_platform = transition(
    implementation = _each_platform_impl,
    inputs = [],
    outputs = ["//command_line_option:platforms"],
)

_ATTRS = LAYOUTS_ATTRS | {
    "image": attr.label(mandatory = True, providers = [ImageInfo], cfg = _each_platform),
    "platforms": attr.string_list(mandatory = True, allow_empty = False),
    "_allowlist_function_transition": attr.label(default = "@bazel_tools//tools/allowlists/function_transition_allowlist"),
    "_index_layout": attr.label(default = "//chassis/tools:index_layout", cfg = "exec", executable = True),
}

def _index(ctx, name, images, flags, inputs):
    """A directory with the index over directories of images; `images` are structs with accelerator and directory."""
    output = ctx.actions.declare_directory(name)
    args = ctx.actions.args()
    args.add_all(flags)
    for image in images:
        args.add_all([image.directory], format_each = "--image=" + image.accelerator + "=%s", expand_directories = False)
    args.add_all([output], format_each = "--output=%s", expand_directories = False)
    ctx.actions.run(
        executable = ctx.executable._index_layout,
        arguments = [args],
        inputs = inputs,
        outputs = [output],
        mnemonic = "IndexLayout",
        progress_message = "Index %{label}",
    )
    return output

def _impl(ctx):
    # In the order of `platforms`, whatever that of the split.
    infos = [ctx.split_attr.image[platform][ImageInfo] for platform in ctx.attr.platforms]
    image_files = depset(transitive = [info.files for info in infos])
    documents = _index(
        ctx,
        ctx.label.name + ".documents",
        [struct(accelerator = info.accelerator, directory = info.documents) for info in infos],
        ["--documents_only"],
        [info.documents for info in infos],
    )
    layout = _index(
        ctx,
        ctx.label.name,
        [struct(accelerator = info.accelerator, directory = info.layout) for info in infos],
        [],
        image_files,
    )
    files = depset([layout], transitive = [image_files])
    return [
        DefaultInfo(files = layout_files(ctx, documents, layout), runfiles = layout_runfiles(ctx, files)),
        IndexInfo(documents = documents, files = files, images = infos, layout = layout),
    ]

_oci_index = rule(implementation = _impl, attrs = _ATTRS, doc = _DOC, provides = [IndexInfo])

def oci_index(name, image, platforms, **kwargs):
    """One image for several platforms, as one index: a puller gets the image of its own platform.

    OCI's platform has no field for an accelerator. Images for one are told apart by `os.features` and by the annotation
    `dev.chassis.accelerator`, and come after the others, so that a client that knows of neither takes one without.

    `bazel build //model:index.sbom` makes the index's own bills of materials, which say what images it has.

    Args:
      name: the target's name.
      image: the `chassis_image`, built once for each platform.
      platforms: labels of the platforms.
      **kwargs: Bazel's common attributes.
    """
    labels = [str(native.package_relative_label(platform)) for platform in platforms]
    if len(dict([(label, None) for label in labels])) != len(labels):
        fail("oci_index(name = %r): a platform is listed twice in %s" % (name, platforms))
    _oci_index(name = name, image = image, platforms = labels, **kwargs)
    image_sbom(name = name + ".sbom", image = name, **(kwargs | {"tags": kwargs.get("tags", []) + ["manual"]}))
