"""The two actions behind an image: its documents, from descriptors alone, and its layout, which links to its layers."""

load("//rules/private/tools:persistent_worker.bzl", "run_in_worker")

IMAGE_LAYOUT_ATTRS = {
    "_image_documents": attr.label(default = "//chassis/tools:image_documents", cfg = "exec", executable = True),
    "_image_layout": attr.label(default = "//chassis/tools:image_layout", cfg = "exec", executable = True),
}

def image_documents(ctx, spec, layers, base_documents, status_files = []):
    """Index, manifest and configuration of an image, as a layout without layers.

    Args:
      ctx: context of a rule with `IMAGE_LAYOUT_ATTRS`.
      spec: dict, what the image is made of (chassis/oci/image_spec.py), but for its layers and its base.
      layers: list of LayerInfo, lowest first; no blob is an input.
      base_documents: list of File, the first of them the base's layout, which may lack its layers.
      status_files: list of File, the workspace's status that annotations name keys of; none if the build is not stamped.

    Returns:
      The directory, a File.
    """
    documents = ctx.actions.declare_directory(ctx.label.name + ".documents")
    args = ctx.actions.args()

    # As an argument: a file would be an action and an output more for each image.
    args.add("--spec=" + json.encode(spec | {
        "base_layout": base_documents[0].path if base_documents else None,
        "status_files": [status.path for status in status_files] if status_files else None,
        "layers": [{"descriptor": layer.descriptor.path, "files": layer.files.path} for layer in layers],
    }))
    args.add_all([documents], format_each = "--output=%s", expand_directories = False)
    run_in_worker(
        ctx,
        args,
        executable = ctx.executable._image_documents,
        inputs = base_documents + status_files + [input for layer in layers for input in [layer.descriptor, layer.files]],
        outputs = [documents],
        mnemonic = "ImageDocuments",
        progress_message = "Image %{label}",
    )
    return documents

def image_layout(ctx, documents, layers, base_files):
    """The layout of an image: its documents, and relative links to the layers.

    The blobs are inputs for Bazel's sake, which wants the targets of links to be there: nothing of them is read.

    Args:
      ctx: context of a rule with `IMAGE_LAYOUT_ATTRS`.
      documents: what `image_documents` made.
      layers: list of LayerInfo, lowest first.
      base_files: list of File, the first of them the layout that the image stands on; an empty list if there is none.

    Returns:
      The directory, a File.
    """
    layout = ctx.actions.declare_directory(ctx.label.name)
    args = ctx.actions.args()
    args.add_all([documents], format_each = "--documents=%s", expand_directories = False)
    args.add_all([layer.blob for layer in layers], format_each = "--layer=%s")
    args.add_all(base_files[:1], format_each = "--base_layout=%s", expand_directories = False)
    args.add_all([layout], format_each = "--output=%s", expand_directories = False)
    run_in_worker(
        ctx,
        args,
        executable = ctx.executable._image_layout,
        # A cache would give each image a copy of each layer: of a link it holds what the link leads to.
        execution_requirements = {"no-cache": "1"},
        inputs = [documents] + base_files + [layer.blob for layer in layers],
        outputs = [layout],
        mnemonic = "ImageLayout",
        progress_message = "Layout of image %{label}",
    )
    return layout
