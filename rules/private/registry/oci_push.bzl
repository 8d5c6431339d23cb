"""oci_push: publishes an image to a registry."""

load("//rules/private/image:attestations.bzl", "attestations")
load("//rules/private/tools:runfiles.bzl", "FIND_RUNFILES", "runfiles_path", "shell_quote")
load("//rules/providers:image_info.bzl", "ImageInfo", "IndexInfo")
load("//rules/providers:push_info.bzl", "PushInfo")
load("//rules/providers:software_info.bzl", "AttestationsInfo")
load(":push_plan.bzl", "push_plan")

_DOC = """Publishes an image: `bazel run //model:push -- --repository registry.example/digits --tag 0.0.1`.

Blobs that the registry has are not sent again; the manifest goes after its blobs, tags come last. The digest is printed
alone on standard output. Flags are those of rules_oci's `oci_push`.

It starts from the image's documents: layers are not brought to this machine. What the registry lacks is taken from where
it is: the outputs of this build, the disk cache or the remote cache.
"""

_ATTRS = {
    "image": attr.label(mandatory = True, providers = [[ImageInfo], [IndexInfo]], doc = "The image or index to publish."),
    "immutable_tags": attr.bool(doc = "Refuse to move a tag that names another image."),
    "repository": attr.string(doc = "Registry and repository without tag, such as `registry.example/digits`; `--repository` overrides it."),
    "stamped_tags": attr.string_list(doc = "Tags with `{KEY}`s of the workspace's status."),
    "tag_files": attr.label_list(allow_files = True, doc = "Files of tags, one a line."),
    "tags_to_push": attr.string_list(doc = "Tags; `--tag` adds to them."),
    "provenance": attr.bool(doc = "Attach the provenance of each image."),
    "sbom": attr.bool(doc = "Attach the bills of materials of each image."),
    "sign_key": attr.label(allow_single_file = True, doc = "A private key to sign with, such as an encrypted cosign.key."),
    "signature_tags": attr.bool(doc = "Sign in the older form too, under tags."),
    "keyless": attr.bool(doc = "Sign with an identity, by Sigstore's services."),
    "push_tool": attr.label(mandatory = True, cfg = "exec", executable = True, doc = "What pushes: the one with Sigstore's package if an identity signs."),
}

# For pushes that attach documents: along `image` they are made of each image. Other pushes do not load what makes them.
_ATTESTING_ATTRS = _ATTRS | {
    "image": attr.label(
        mandatory = True,
        aspects = [attestations],
        providers = [[ImageInfo], [IndexInfo]],
        doc = "The image or index to publish.",
    ),
}

def _about(ctx):
    """The documents of each image by kind, each file with a name of its own: images of an index share theirs."""
    kinds = (["cyclonedx", "spdx"] if ctx.attr.sbom else []) + (["provenance"] if ctx.attr.provenance else [])
    if not kinds:
        return []
    found = []
    attested = ctx.attr.image[AttestationsInfo]
    for number, image in enumerate(attested.images + ([attested.index] if attested.index and ctx.attr.sbom else [])):
        about = {}
        for kind in [kind for kind in kinds if hasattr(image, kind)]:
            file = ctx.actions.declare_file("%s.%d.%s.json" % (ctx.label.name, number, kind))
            ctx.actions.symlink(output = file, target_file = getattr(image, kind))
            about[kind] = file
        found.append(about)
    return found

def _impl(ctx):
    image = ctx.attr.image[ImageInfo if ImageInfo in ctx.attr.image else IndexInfo]

    # Read when the push runs, not when something is built: no action depends on the time or the commit.
    status_files = [ctx.info_file, ctx.version_file] if ctx.attr.stamped_tags else []
    info = push_plan(ctx, image, struct(
        about = _about(ctx),
        immutable_tags = ctx.attr.immutable_tags,
        keyless = ctx.attr.keyless,
        repository = ctx.attr.repository,
        sign_key = ctx.file.sign_key,
        signature_tags = ctx.attr.signature_tags,
        stamped_tags = ctx.attr.stamped_tags,
        status_files = status_files,
        tag_files = ctx.files.tag_files,
        tags = ctx.attr.tags_to_push,
    ))
    launcher = ctx.actions.declare_file(ctx.label.name)
    ctx.actions.write(
        launcher,
        FIND_RUNFILES + 'exec "$RUNFILES_DIR/"%s --plan="$RUNFILES_DIR/"%s "$@"\n' % (
            shell_quote(runfiles_path(ctx, ctx.executable.push_tool)),
            shell_quote(runfiles_path(ctx, info.plan)),
        ),
        is_executable = True,
    )
    runfiles = ctx.runfiles([ctx.executable.push_tool, info.plan], transitive_files = info.files)
    return [
        DefaultInfo(executable = launcher, runfiles = runfiles.merge(ctx.attr.push_tool[DefaultInfo].default_runfiles)),
        OutputGroupInfo(layers = info.layers),
        info,
    ]

_oci_push = rule(implementation = _impl, attrs = _ATTRS, doc = _DOC, executable = True, provides = [PushInfo])

_attesting_oci_push = rule(
    implementation = _impl,
    attrs = _ATTESTING_ATTRS,
    doc = _DOC,
    executable = True,
    provides = [PushInfo],
)

# What the distribution specification allows: https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests
def _check_tag(name, tag):
    legal = tag and len(tag) <= 128 and tag[0] not in ".-"
    for char in tag.elems():
        legal = legal and (char.isalnum() or char in "._-")
    if not legal:
        fail("oci_push(name = %r): tag %r: a tag has 1 to 128 letters, digits, `.`, `_`, `-`, and starts with none of `.-`" % (name, tag))

def oci_push(
        name,
        image,
        repository = "",
        tags = [],
        stamped_tags = [],
        tag_file = None,
        immutable_tags = False,
        sbom = False,
        provenance = False,
        sign = None,
        signature_tags = False,
        keyless = False,
        **kwargs):
    """Publishes an image: `bazel run //model:push -- --repository registry.example/digits --tag 0.0.1`.

    Args:
      name: the target's name.
      image: the image or index to publish.
      repository: registry and repository without tag, such as `registry.example/digits`; `--repository` overrides it.
      tags: tags of the image in the registry (not Bazel's tags); `--tag` adds to them.
      stamped_tags: tags with `{KEY}`s of the workspace's status, such as `{STABLE_GIT_COMMIT}`; what the values hold
        that a tag may not, becomes `-`.
      tag_file: a file of tags, one a line, made by any rule, as rules_oci's `remote_tags` takes it.
      immutable_tags: refuse to move a tag that names another image already; nothing is sent then.
      sbom: attach the bills of materials of each image, CycloneDX and SPDX, before a tag moves (docs/trust.md).
      provenance: attach the provenance of each image.
      sign: label of a private key, such as an encrypted `cosign.key`, whose password is in COSIGN_PASSWORD: every image and
        index is signed with it, and what is attached. `--sign --key FILE` does so without one.
      signature_tags: sign in the older form too, under tags `sha256-….sig`, for readers before cosign 3.
      keyless: sign with an identity instead of a key, that of the CI job or of a token, by Sigstore's services
        (docs/trust.md). `--key FILE` signs with a key all the same, and `--nosign` with nothing.
      **kwargs: Bazel's common attributes.
    """
    for tag in tags:
        _check_tag(name, tag)
    if "@" in repository or ":" in repository.rpartition("/")[2]:
        fail("oci_push(name = %r): repository = %r: leave tag and digest out, tags go into `tags`" % (name, repository))
    if keyless and (sign or signature_tags):
        fail("oci_push(name = %r): keyless signs without a key: leave `sign` and `signature_tags` out" % name)
    push = _attesting_oci_push if sbom or provenance else _oci_push
    push(
        name = name,
        image = image,
        repository = repository,
        tags_to_push = tags,
        stamped_tags = stamped_tags,
        tag_files = [tag_file] if tag_file else [],
        immutable_tags = immutable_tags,
        keyless = keyless,
        provenance = provenance,
        push_tool = Label("//chassis/tools:push_keyless" if keyless else "//chassis/tools:push"),
        sbom = sbom,
        sign_key = sign,
        signature_tags = signature_tags,
        **kwargs
    )
