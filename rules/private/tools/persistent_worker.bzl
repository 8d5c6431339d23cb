"""Actions whose tool may stay for the next one, as Bazel's persistent worker (chassis/command_line/persistent_worker.py)."""

def run_in_worker(ctx, args, flag_file = "--flagfile=%s", execution_requirements = {}, worker = True, **kwargs):
    """`ctx.actions.run` of a tool that starts in more time than it works in.

    If Bazel has no workers, as in remote execution, the tool starts for this action alone.

    Args:
      ctx: context of a rule or an aspect.
      args: all of the tool's arguments, an `Args`.
      flag_file: how the tool is told of a file of arguments, one in a line.
      execution_requirements: more of these than a worker takes, as for `ctx.actions.run`.
      worker: whether it may stay.
      **kwargs: as for `ctx.actions.run`.
    """
    args.use_param_file(flag_file, use_always = True)
    args.set_param_file_format("multiline")
    ctx.actions.run(
        arguments = [args],
        execution_requirements = execution_requirements | ({
            "requires-worker-protocol": "json",
            "supports-workers": "1",
        } if worker else {}),
        # The tool, and the interpreter that it may ask, do not come from a toolchain.
        toolchain = None,
        **kwargs
    )
