"""oci_verify: whether a published image is the one of this build, and signed."""

load("//rules/private/tools:runfiles.bzl", "FIND_RUNFILES", "runfiles_path", "shell_quote")
load("//rules/providers:image_info.bzl", "ImageInfo", "IndexInfo")

_DOC = """Verifies a published image: `bazel run //model:verify -- --image registry.example/digits:0.0.1`.

The registry's image has to have the digest of this build's, and a signature by one of the keys, or by the identity. `bazel run
@chassis//:verify -- IMAGE --key cosign.pub` verifies images that no build here makes.
"""

_ATTRS = {
    "image": attr.label(mandatory = True, providers = [[ImageInfo], [IndexInfo]], doc = "The image or index as this build makes it."),
    "certificate_identity": attr.string(doc = "Who has to have signed without a key, as the certificate names them, such as the URL of a workflow; with `certificate_oidc_issuer`."),
    "certificate_oidc_issuer": attr.string(doc = "The URL of the issuer that knows `certificate_identity`."),
    "keys": attr.label_list(allow_files = [".pub", ".pem"], doc = "Public keys in PEM, such as `cosign.pub`; one has to have signed."),
    "published": attr.string(doc = "The image in its registry, such as `registry.example/digits:0.0.1`; `--image` overrides it."),
    "require": attr.string_list(doc = "Statements that have to be signed too: `provenance`, `cyclonedx`, `spdx`."),
    "trusted_root": attr.label(allow_single_file = [".json"], doc = "Whose certificates count: a trusted root of Sigstore; if it is left out, the public one, which is fetched."),
    "_verify": attr.label(default = "//chassis/tools:verify", cfg = "exec", executable = True),
}

_KINDS = ["cyclonedx", "provenance", "spdx"]

def _impl(ctx):
    for kind in ctx.attr.require:
        if kind not in _KINDS:
            fail("\n%s: require: %r is not one of %s" % (ctx.label, kind, ", ".join(_KINDS)))
    if not ctx.attr.keys and not ctx.attr.certificate_identity:
        fail("\n%s: nobody is named who has to have signed: give `keys`, or `certificate_identity`" % ctx.label)
    if bool(ctx.attr.certificate_identity) != bool(ctx.attr.certificate_oidc_issuer):
        fail("\n%s: an identity is a name and the issuer that knows it: give both `certificate_identity` and `certificate_oidc_issuer`" % ctx.label)
    if ctx.attr.trusted_root and not ctx.attr.certificate_identity:
        fail("\n%s: trusted_root says whose certificates count, and keys have none: leave it out, or give `certificate_identity`" % ctx.label)
    documents = ctx.attr.image[ImageInfo if ImageInfo in ctx.attr.image else IndexInfo].documents
    words = ['--layout="$RUNFILES_DIR/"' + shell_quote(runfiles_path(ctx, documents))]
    words += ['--key="$RUNFILES_DIR/"' + shell_quote(runfiles_path(ctx, key)) for key in ctx.files.keys]
    words += ["--require=" + kind for kind in ctx.attr.require]
    for name in ["certificate_identity", "certificate_oidc_issuer"]:
        if getattr(ctx.attr, name):
            words.append("--%s=%s" % (name, shell_quote(getattr(ctx.attr, name))))
    roots = [ctx.file.trusted_root] if ctx.file.trusted_root else []
    words += ['--trusted_root="$RUNFILES_DIR/"' + shell_quote(runfiles_path(ctx, root)) for root in roots]
    if ctx.attr.published:
        words.append("--image=" + shell_quote(ctx.attr.published))
    launcher = ctx.actions.declare_file(ctx.label.name)
    ctx.actions.write(
        launcher,
        FIND_RUNFILES + 'exec "$RUNFILES_DIR/"%s %s "$@"\n' % (
            shell_quote(runfiles_path(ctx, ctx.executable._verify)),
            " ".join(words),
        ),
        is_executable = True,
    )
    runfiles = ctx.runfiles([ctx.executable._verify, documents] + ctx.files.keys + roots)
    return [DefaultInfo(executable = launcher, runfiles = runfiles.merge(ctx.attr._verify[DefaultInfo].default_runfiles))]

oci_verify = rule(implementation = _impl, attrs = _ATTRS, doc = _DOC, executable = True)
