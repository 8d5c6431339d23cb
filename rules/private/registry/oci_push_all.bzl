"""oci_push_all: publishes several images in one process."""

load("//rules/private/tools:runfiles.bzl", "FIND_RUNFILES", "runfiles_path", "shell_quote")
load("//rules/providers:push_info.bzl", "PushInfo")

_DOC = """Publishes the images of several `oci_push` targets in one process: `bazel run //deploy:push_all`.

One session for each registry; a blob that several images share is asked for once and sent once. The content of all goes
first, then the tags of each image whose content arrived. One failure does not stop the others: the exit status is 1 then,
and the JSON on standard output says which. `--since FILE` takes the output of the last run and leaves out what has the
same digest and tags; `--deployment FILE` writes repositories with their digests.
"""

_ATTRS = {
    "pushes": attr.label_list(mandatory = True, allow_empty = False, providers = [PushInfo], doc = "The `oci_push` targets."),
    "_push_all": attr.label(default = "//chassis/tools:push_all", cfg = "exec", executable = True),
}

def _impl(ctx):
    infos = [push[PushInfo] for push in ctx.attr.pushes]
    launcher = ctx.actions.declare_file(ctx.label.name)
    ctx.actions.write(
        launcher,
        FIND_RUNFILES + 'exec "$RUNFILES_DIR/"%s %s "$@"\n' % (
            shell_quote(runfiles_path(ctx, ctx.executable._push_all)),
            " ".join(['--plan="$RUNFILES_DIR/"' + shell_quote(runfiles_path(ctx, info.plan)) for info in infos]),
        ),
        is_executable = True,
    )
    runfiles = ctx.runfiles(
        [ctx.executable._push_all] + [info.plan for info in infos],
        transitive_files = depset(transitive = [info.files for info in infos]),
    )
    return [
        DefaultInfo(executable = launcher, runfiles = runfiles.merge(ctx.attr._push_all[DefaultInfo].default_runfiles)),
        OutputGroupInfo(layers = depset(transitive = [info.layers for info in infos])),
    ]

oci_push_all = rule(implementation = _impl, attrs = _ATTRS, doc = _DOC, executable = True)
