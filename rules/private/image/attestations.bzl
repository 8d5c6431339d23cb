"""attestations: the aspect that makes an image's bills of materials and provenance, if they are asked for."""

load("//rules/private/tools:names.bzl", "names")
load("//rules/private/tools:persistent_worker.bzl", "run_in_worker")
load("//rules/providers:image_info.bzl", "ImageInfo", "IndexInfo")
load("//rules/providers:software_info.bzl", "AttestationsInfo")
load(":package_record.bzl", "RECORD_ATTRS", "package_record")

def _run(ctx, tool, spec, inputs, outputs, mnemonic, what, more = []):
    args = ctx.actions.args()
    args.add(spec, format = "--spec=%s")
    args.add_all(more)
    for flag, file in outputs.items():
        args.add(file, format = "--" + flag + "=%s")
    run_in_worker(
        ctx,
        args,
        executable = tool,
        inputs = inputs,
        outputs = outputs.values(),
        mnemonic = mnemonic,
        progress_message = what + " of %{label}",
    )

def _attest(target, ctx):
    image = target[ImageInfo]
    software = image.software
    name = ctx.label.name
    records = list(software.records)
    if image.base_layout:  # a base that this build knows nothing of: its layers are read
        records = [package_record(
            ctx,
            name + ".base",
            "layout",
            [image.base_layout],
            "the base of " + name,
            needed = image.held.to_list(),
        )] + records
    spec = ctx.actions.declare_file(name + ".attestations.spec.json")
    sources = software.sources.to_list()
    accuracy = getattr(software, "accuracy", [])
    ctx.actions.write(spec, json.encode_indent({
        "accuracy": [file.path for file in accuracy],
        "documents": image.documents.path,
        "layers": [{"descriptor": layer.descriptor.path, "facts": facts.path} for layer, facts in software.facts],
        "metadata": software.metadata.path if software.metadata else None,
        "model": software.model,
        "name": names.label_for_people(ctx.label),
        "parameters": software.parameters,
        "python": software.python_version,
        "records": [file.path for file in records],
        "sources": {names.path_in_repository(file): file.path for file in sources if not file.is_directory},
        "version": software.version,
    }, indent = " ") + "\n")
    inputs = [spec, image.documents] + accuracy + records + ([software.metadata] if software.metadata else [])
    inputs += [file for layer, facts in software.facts for file in [layer.descriptor, facts]]
    bills = {
        "cyclonedx": ctx.actions.declare_file(name + ".cdx.json"),
        "spdx": ctx.actions.declare_file(name + ".spdx.json"),
    }
    _run(ctx, ctx.executable._sbom, spec, inputs, bills, "Sbom", "Bill of materials")
    provenance = ctx.actions.declare_file(name + ".provenance.json")
    status = [ctx.info_file] if ctx.attr._stamp[StampInfo].stamp else []
    _run(
        ctx,
        ctx.executable._provenance,
        spec,
        inputs + sources + status,
        {"output": provenance},
        "Provenance",
        "Provenance",
        ["--status_file=" + file.path for file in status],
    )
    return struct(
        cyclonedx = bills["cyclonedx"],
        documents = image.documents,
        provenance = provenance,
        spdx = bills["spdx"],
    )

def _attest_index(target, ctx):
    """The bills of materials of an index: which images it has."""
    index, software = target[IndexInfo], target[IndexInfo].images[0].software
    bills = {
        "cyclonedx": ctx.actions.declare_file(ctx.label.name + ".cdx.json"),
        "spdx": ctx.actions.declare_file(ctx.label.name + ".spdx.json"),
    }
    args = ctx.actions.args()
    args.add_all([index.documents], format_each = "--index=%s", expand_directories = False)
    args.add("--target=" + names.label_for_people(ctx.label))
    args.add("--model=" + software.model)
    args.add("--version=" + software.version)
    for flag, file in bills.items():
        args.add(file, format = "--" + flag + "=%s")
    run_in_worker(
        ctx,
        args,
        executable = ctx.executable._sbom,
        inputs = [index.documents],
        outputs = bills.values(),
        mnemonic = "Sbom",
        progress_message = "Bill of materials of %{label}",
    )
    return struct(cyclonedx = bills["cyclonedx"], documents = index.documents, spdx = bills["spdx"])

def _impl(target, ctx):
    below = getattr(ctx.rule.attr, "image", None) or []
    images = []
    for dep in below if type(below) == "list" else [below]:
        if AttestationsInfo in dep:
            images += [entry for entry in dep[AttestationsInfo].images if entry not in images]
    if not images and ImageInfo in target and hasattr(target[ImageInfo], "software"):
        images = [_attest(target, ctx)]
    index = None
    if IndexInfo in target and hasattr(target[IndexInfo].images[0], "software"):
        index = _attest_index(target, ctx)
    return [AttestationsInfo(images = images, index = index)]

StampInfo = provider(doc = "Whether `--stamp` is given.", fields = {"stamp": "bool."})

def _stamp_flag_impl(ctx):
    return [StampInfo(stamp = ctx.attr.stamp)]

stamp_flag = rule(
    implementation = _stamp_flag_impl,
    attrs = {"stamp": attr.bool(doc = "A `select` on `--stamp`.")},
    doc = "Whether `--stamp` is given, for an aspect, which cannot ask by a `select` of its own.",
)

attestations = aspect(
    implementation = _impl,
    attr_aspects = ["image"],
    attrs = RECORD_ATTRS | {
        "_provenance": attr.label(default = "//chassis/tools:provenance", cfg = "exec", executable = True),
        "_sbom": attr.label(default = "//chassis/tools:sbom", cfg = "exec", executable = True),
        "_stamp": attr.label(default = "//rules/private/image:stamp", providers = [StampInfo]),
    },
    doc = "Documents about images: along `image`, so that an index has those of each of its images.",
)
