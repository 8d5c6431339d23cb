"""root_runfiles: directories of repositories, for actions that take them as the runfiles of a tool."""

load(":runfiles.bzl", "runfiles_path")

_DOC = """A program that does nothing, with files in its runfiles.

Bazel warns of each action that has a source directory among its inputs ("dependency checking of directories is
unsound": it would miss a file that is edited inside). A repository's root is never edited, and as one directory it is one
link of a sandbox instead of thousands. Among the runfiles of a tool it is an input all the same,
and no warning.
"""

_ATTRS = {
    "files": attr.label_list(mandatory = True, allow_files = True, doc = "The directories, and files beside them."),
}

def _impl(ctx):
    program = ctx.actions.declare_file(ctx.label.name)
    ctx.actions.write(program, "#!/bin/sh\n", is_executable = True)
    return [DefaultInfo(executable = program, runfiles = ctx.runfiles(ctx.files.files))]

root_runfiles = rule(implementation = _impl, attrs = _ATTRS, doc = _DOC, executable = True)

def path_in_runfiles(ctx, tool, file):
    """The path of a file in the runfiles of a tool, for an action that has it among its `tools`.

    Args:
      ctx: the rule's context.
      tool: the tool's FilesToRunProvider.
      file: a File, one of its runfiles.

    Returns:
      A path from the execution root, which the tool takes through chassis/command_line/staged.py.
    """
    return tool.executable.path + ".runfiles/" + runfiles_path(ctx, file)
