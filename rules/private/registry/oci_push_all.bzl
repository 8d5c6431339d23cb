"""oci_push_all: publishes several images in one process."""

load("//rules/private/tools:runfiles.bzl", "FIND_RUNFILES", "runfiles_path", "shell_quote")
load("//rules/providers:push_info.bzl", "PushInfo")

_DOC = """Publishes the images of several pushes. Use `oci_push_all` of defs.bzl."""

_ATTRS = {
    "push_tool": attr.label(mandatory = True, cfg = "exec", executable = True, doc = "What pushes: the one with Sigstore's package if an identity signs."),
    "pushes": attr.label_list(mandatory = True, allow_empty = False, providers = [PushInfo], doc = "The `oci_push` targets."),
    "signs_keyless": attr.bool(doc = "Whether `push_tool` can sign with an identity."),
}

def _impl(ctx):
    infos = [push[PushInfo] for push in ctx.attr.pushes]
    for push in ctx.attr.pushes:
        if push[PushInfo].keyless and not ctx.attr.signs_keyless:
            fail("\n%s: %s signs with an identity: write `keyless = True` here, too" % (ctx.label, push.label))
    launcher = ctx.actions.declare_file(ctx.label.name)
    ctx.actions.write(
        launcher,
        FIND_RUNFILES + 'exec "$RUNFILES_DIR/"%s %s "$@"\n' % (
            shell_quote(runfiles_path(ctx, ctx.executable.push_tool)),
            " ".join(['--plan="$RUNFILES_DIR/"' + shell_quote(runfiles_path(ctx, info.plan)) for info in infos]),
        ),
        is_executable = True,
    )
    runfiles = ctx.runfiles(
        [ctx.executable.push_tool] + [info.plan for info in infos],
        transitive_files = depset(transitive = [info.files for info in infos]),
    )
    return [
        DefaultInfo(executable = launcher, runfiles = runfiles.merge(ctx.attr.push_tool[DefaultInfo].default_runfiles)),
        OutputGroupInfo(layers = depset(transitive = [info.layers for info in infos])),
    ]

_oci_push_all = rule(implementation = _impl, attrs = _ATTRS, doc = _DOC, executable = True)

def oci_push_all(name, pushes, keyless = False, **kwargs):
    """Publishes the images of several `oci_push` targets in one process: `bazel run //deploy:push_all`.

    One session for each registry; a blob that several images share is asked for once and sent once. The content of all goes
    first, then the tags of each image whose content arrived. One failure does not stop the others: the exit status is 1 then,
    and the JSON on standard output says which. `--since FILE` takes the output of the last run and leaves out what has the
    same digest and tags; `--deployment FILE` writes repositories with their digests.

    Args:
      name: the target's name.
      pushes: the `oci_push` targets.
      keyless: whether some of them sign with an identity, as their own `keyless` says. Each signs as it does by itself.
      **kwargs: Bazel's common attributes.
    """
    _oci_push_all(
        name = name,
        push_tool = Label("//chassis/tools:push_all_keyless" if keyless else "//chassis/tools:push_all"),
        pushes = pushes,
        signs_keyless = keyless,
        **kwargs
    )
