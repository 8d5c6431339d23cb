"""What a push needs to know, as a file: the image's documents, and where its layers may be."""

load("//rules/private/tools:names.bzl", "names")
load("//rules/private/tools:runfiles.bzl", "runfiles_path")
load("//rules/providers:push_info.bzl", "PushInfo")

def push_plan(ctx, image, what):
    """Writes the plan of a push.

    Args:
      ctx: context of a rule.
      image: ImageInfo or IndexInfo.
      what: struct with repository, tags, stamped_tags, immutable_tags, and lists of File tag_files and status_files;
        about (list of dict, the documents of each image by kind), sign_key (File or None), signature_tags and keyless (bool).

    Returns:
      A PushInfo.
    """
    images = image.images if hasattr(image, "images") else [image]
    layers = {layer.blob: layer.descriptor for entry in images for layer in entry.all_layers}
    held = [entry.held for entry in images]
    about = [file for documents in what.about for file in documents.values()]
    plan = ctx.actions.declare_file(ctx.label.name + ".plan.json")
    ctx.actions.write(plan, json.encode_indent({
        "documents_about": [
            {kind: runfiles_path(ctx, file) for kind, file in about.items()}
            for about in what.about
        ],
        "documents": runfiles_path(ctx, image.documents),
        "immutable_tags": what.immutable_tags,
        "keyless": what.keyless,
        # By its path in the execution root: it need not be there.
        "layers": [{"descriptor": runfiles_path(ctx, layers[blob]), "file": blob.path} for blob in layers],
        "layouts": [
            runfiles_path(ctx, layout)
            for layout in {entry.base_layout: None for entry in images if entry.base_layout}
        ],
        "mount_from": {source: None for entry in images for source in entry.sources}.keys(),
        "repository": what.repository,
        "sign_key": runfiles_path(ctx, what.sign_key) if what.sign_key else None,
        "signature_tags": what.signature_tags,
        "stamped_tags": what.stamped_tags,
        "status_files": [runfiles_path(ctx, file) for file in what.status_files],
        "tag_files": [runfiles_path(ctx, file) for file in what.tag_files],
        "tags": what.tags,
        "target": names.label_for_people(ctx.label),
    }, indent = " ") + "\n")
    return PushInfo(
        files = depset([image.documents] + layers.values() + what.status_files + what.tag_files + about + ([what.sign_key] if what.sign_key else []), transitive = held),
        keyless = what.keyless,
        layers = depset(layers.keys()),
        plan = plan,
    )
