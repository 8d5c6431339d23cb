"""model_directory: a directory that a program makes in the build, as one target for `data`."""

load("//rules/private/tools:names.bzl", "names")

_DOC = """What a program writes into a directory, as one target: a model of MLflow, spaCy or Hugging Face, for `data` of a `chassis_model`.

```starlark
model_directory(
    name = "tickets",
    srcs = ["tickets.csv"],
    args = ["$(execpath tickets.csv)", "{output}"],
    tool = ":train",
)
```

The function finds it with `chassis.data_path("tickets")`. The program runs in Bazel's sandbox, without network, with
`PYTHONHASHSEED=0`; its directory is there and empty. What it draws at random it has to seed: images are as reproducible as it is.
"""

_OUTPUT = "{output}"

_ATTRS = {
    "args": attr.string_list(
        default = [_OUTPUT],
        doc = "Arguments of the program. `{output}` stands for the directory, `$(execpath LABEL)` for a file of `srcs`.",
    ),
    "env": attr.string_dict(doc = "The program's environment, more than `PATH` and `PYTHONHASHSEED=0`."),
    "srcs": attr.label_list(allow_files = True, doc = "Files that the program reads."),
    "tool": attr.label(
        cfg = "exec",
        doc = "The program, such as a `model_tool`.",
        executable = True,
        mandatory = True,
    ),
}

def _impl(ctx):
    if not [argument for argument in ctx.attr.args if _OUTPUT in argument]:
        fail("\n%s: no argument names %s, the directory that %s is to fill: args = %r" % (
            names.label_for_people(ctx.label),
            _OUTPUT,
            names.label_for_people(ctx.attr.tool.label),
            ctx.attr.args,
        ))
    output = ctx.actions.declare_directory(ctx.label.name)
    args = ctx.actions.args()
    for argument in ctx.attr.args:
        args.add(ctx.expand_location(argument, ctx.attr.srcs).replace(_OUTPUT, output.path))
    ctx.actions.run(
        executable = ctx.executable.tool,
        arguments = [args],
        env = {"PYTHONHASHSEED": "0"} | ctx.attr.env,
        inputs = ctx.files.srcs,
        mnemonic = "ModelDirectory",
        outputs = [output],
        progress_message = "Making %{label}",
        toolchain = None,
        use_default_shell_env = True,
    )
    return [DefaultInfo(files = depset([output]))]

model_directory = rule(implementation = _impl, attrs = _ATTRS, doc = _DOC)
