"""image_sbom, image_provenance: the documents about an image, as files."""

load("//rules/providers:image_info.bzl", "ImageInfo", "IndexInfo")
load("//rules/providers:software_info.bzl", "AttestationsInfo")
load(":attestations.bzl", "attestations")
load(":image_vulnerabilities.bzl", "image_vulnerabilities")

_SBOM_DOC = """The bills of materials of an image: in `IMAGE.sbom`, `IMAGE.cdx.json` (CycloneDX 1.6) and `IMAGE.spdx.json` (SPDX 2.3).

`bazel build //model:image.sbom` makes them from descriptors, facts and packages' metadata; no layer of this build is read.
"""

_PROVENANCE_DOC = """The provenance of an image, `IMAGE.provenance/IMAGE.provenance.json`: an in-toto statement with SLSA provenance v1."""

_ATTRS = {
    "image": attr.label(mandatory = True, aspects = [attestations], providers = [[ImageInfo], [IndexInfo]], doc = "The image."),
}

# What the documents are called after their image.
_SUFFIXES = {"cyclonedx": ".cdx.json", "provenance": ".provenance.json", "spdx": ".spdx.json"}

def _files(ctx, kinds):
    attestations_of = ctx.attr.image[AttestationsInfo]
    described = [attestations_of.index] if attestations_of.index else attestations_of.images
    if len(described) != 1:
        fail("\n%s: %s is not an image of this build" % (ctx.label, ctx.attr.image.label))
    groups = {}
    for kind in kinds:
        file = getattr(described[0], kind)

        # A name of its own: documents of several platforms would have one path in a runfiles tree.
        own = ctx.actions.declare_file("%s/%s" % (ctx.label.name, ctx.attr.image.label.name + _SUFFIXES[kind]))
        ctx.actions.symlink(output = own, target_file = file)
        groups[kind] = depset([own])
    return [DefaultInfo(files = depset(transitive = groups.values())), OutputGroupInfo(**groups)]

def _sbom_impl(ctx):
    return _files(ctx, ["cyclonedx", "spdx"])

def _provenance_impl(ctx):
    return _files(ctx, ["provenance"])

image_sbom = rule(implementation = _sbom_impl, attrs = _ATTRS, doc = _SBOM_DOC)

image_provenance = rule(implementation = _provenance_impl, attrs = _ATTRS, doc = _PROVENANCE_DOC)

def attestation_targets(name, **kwargs):
    """The targets `NAME.sbom`, `NAME.provenance` and `NAME.vulnerabilities` beside an image: built only if they are asked for.

    Args:
      name: the image's name.
      **kwargs: Bazel's common attributes.
    """
    common = kwargs | {"tags": kwargs.get("tags", []) + ["manual"]}
    image_sbom(name = name + ".sbom", image = name, **common)
    image_provenance(name = name + ".provenance", image = name, **common)
    image_vulnerabilities(name = name + ".vulnerabilities", image = name, **common)
