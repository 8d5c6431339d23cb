"""oci_push: publishes an image to a registry."""

load("//rules/providers:image_info.bzl", "ImageInfo", "IndexInfo")
load(":runfiles.bzl", "FIND_RUNFILES", "runfiles_path", "shell_quote")

_DOC = """Publishes an image: `bazel run //model:push -- --repository registry.example/digits --tag 0.0.1`.

Blobs that the registry has are not sent again; the manifest goes after its blobs, tags come last. The digest is printed
alone on standard output. Flags are those of rules_oci's `oci_push`.
"""

_ATTRS = {
    "image": attr.label(mandatory = True, providers = [[ImageInfo], [IndexInfo]], doc = "The image or index to publish."),
    "repository": attr.string(doc = "Registry and repository without tag, such as `registry.example/digits`; `--repository` overrides it."),
    "tags_to_push": attr.string_list(doc = "Tags; `--tag` adds to them."),
    "_push": attr.label(default = "//chassis/tools:push", cfg = "exec", executable = True),
}

def _impl(ctx):
    image = ctx.attr.image[ImageInfo if ImageInfo in ctx.attr.image else IndexInfo]
    arguments = ['--image="$RUNFILES_DIR/"' + shell_quote(runfiles_path(ctx, image.layout))]
    if ctx.attr.repository:
        arguments.append(shell_quote("--repository=" + ctx.attr.repository))
    for tag in ctx.attr.tags_to_push:
        arguments.append(shell_quote("--tag=" + tag))
    launcher = ctx.actions.declare_file(ctx.label.name)
    ctx.actions.write(
        launcher,
        FIND_RUNFILES + 'exec "$RUNFILES_DIR/"%s %s "$@"\n' % (
            shell_quote(runfiles_path(ctx, ctx.executable._push)),
            " ".join(arguments),
        ),
        is_executable = True,
    )
    runfiles = ctx.runfiles([ctx.executable._push]).merge_all([
        ctx.attr.image[DefaultInfo].default_runfiles,
        ctx.attr._push[DefaultInfo].default_runfiles,
    ])
    return [DefaultInfo(executable = launcher, runfiles = runfiles)]

_oci_push = rule(implementation = _impl, attrs = _ATTRS, doc = _DOC, executable = True)

# What the distribution specification allows: https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests
def _check_tag(name, tag):
    legal = tag and len(tag) <= 128 and tag[0] not in ".-"
    for char in tag.elems():
        legal = legal and (char.isalnum() or char in "._-")
    if not legal:
        fail("oci_push(name = %r): tag %r: a tag has 1 to 128 letters, digits, `.`, `_`, `-`, and starts with none of `.-`" % (name, tag))

def oci_push(name, image, repository = "", tags = [], **kwargs):
    """Publishes an image: `bazel run //model:push -- --repository registry.example/digits --tag 0.0.1`.

    Args:
      name: the target's name.
      image: the image or index to publish.
      repository: registry and repository without tag, such as `registry.example/digits`; `--repository` overrides it.
      tags: tags of the image in the registry (not Bazel's tags); `--tag` adds to them.
      **kwargs: Bazel's common attributes.
    """
    for tag in tags:
        _check_tag(name, tag)
    if "@" in repository or ":" in repository.rpartition("/")[2]:
        fail("oci_push(name = %r): repository = %r: leave tag and digest out, tags go into `tags`" % (name, repository))
    _oci_push(name = name, image = image, repository = repository, tags_to_push = tags, **kwargs)
