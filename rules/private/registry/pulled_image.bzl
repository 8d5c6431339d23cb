"""pulled_image: the OCI layout of an image that a registry gave."""

load("//rules/providers:pulled_info.bzl", "PulledInfo")

_DOC = """An image that `oci_pull` brought, as an OCI image layout directory whose layers are links."""

_ATTRS = {
    "config": attr.label(mandatory = True, allow_single_file = True, doc = "The image's configuration."),
    "layers": attr.label_list(allow_files = True, doc = "The layers' blobs, in the manifest's order."),
    "manifest": attr.label(mandatory = True, allow_single_file = True, doc = "The image's manifest."),
    "source": attr.string(mandatory = True, doc = "Registry and repository that have it."),
    "_pulled_layout": attr.label(default = "//chassis/tools:pulled_layout", cfg = "exec", executable = True),
}

def _impl(ctx):
    # As outputs, so that a link to them from the layout holds wherever the layout is read.
    blobs = []
    for number, layer in enumerate(ctx.files.layers):
        blob = ctx.actions.declare_file("%s.layers/%d" % (ctx.label.name, number))
        ctx.actions.symlink(output = blob, target_file = layer)
        blobs.append(blob)
    layout = ctx.actions.declare_directory(ctx.label.name)
    args = ctx.actions.args()
    args.add(ctx.file.manifest, format = "--manifest=%s")
    args.add(ctx.file.config, format = "--config=%s")
    args.add_all(blobs, format_each = "--layer=%s")
    args.add_all([layout], format_each = "--output=%s", expand_directories = False)
    ctx.actions.run(
        executable = ctx.executable._pulled_layout,
        arguments = [args],
        inputs = [ctx.file.manifest, ctx.file.config] + blobs,
        outputs = [layout],
        mnemonic = "PulledLayout",
        progress_message = "Pulled image %{label}",
    )
    return [
        DefaultInfo(files = depset([layout]), runfiles = ctx.runfiles([layout] + blobs)),
        PulledInfo(source = ctx.attr.source),
    ]

pulled_image = rule(implementation = _impl, attrs = _ATTRS, doc = _DOC, provides = [PulledInfo])
