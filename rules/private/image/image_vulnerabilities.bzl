"""image_vulnerabilities: known vulnerabilities of what is in an image."""

load("//rules/private/tools:runfiles.bzl", "FIND_RUNFILES", "runfiles_path", "shell_quote")
load("//rules/providers:image_info.bzl", "ImageInfo")
load("//rules/providers:software_info.bzl", "AttestationsInfo")
load(":attestations.bzl", "attestations")

_DOC = """Checks an image against databases: `bazel run //model:image.vulnerabilities -- --database FILE`.

Databases are files, an export of OSV or the JSON of Debian's security tracker: see docs/trust.md.
"""

_ATTRS = {
    "image": attr.label(mandatory = True, aspects = [attestations], providers = [ImageInfo], doc = "The image."),
    "_vulnerabilities": attr.label(default = "//chassis/tools:vulnerabilities", cfg = "exec", executable = True),
}

def _impl(ctx):
    images = ctx.attr.image[AttestationsInfo].images
    if len(images) != 1:
        fail("\n%s: %s is not an image of this build" % (ctx.label, ctx.attr.image.label))
    sbom = images[0].cyclonedx
    launcher = ctx.actions.declare_file(ctx.label.name)
    ctx.actions.write(
        launcher,
        FIND_RUNFILES + 'exec "$RUNFILES_DIR/"%s --sbom="$RUNFILES_DIR/"%s "$@"\n' % (
            shell_quote(runfiles_path(ctx, ctx.executable._vulnerabilities)),
            shell_quote(runfiles_path(ctx, sbom)),
        ),
        is_executable = True,
    )
    runfiles = ctx.runfiles([ctx.executable._vulnerabilities, sbom])
    return [DefaultInfo(executable = launcher, runfiles = runfiles.merge(ctx.attr._vulnerabilities[DefaultInfo].default_runfiles))]

image_vulnerabilities = rule(implementation = _impl, attrs = _ATTRS, doc = _DOC, executable = True)
