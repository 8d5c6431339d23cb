"""python_base: an image with a Python installed beside Debian's own, as `python:3.12-slim` is one."""

def _impl(ctx):
    layout = ctx.actions.declare_directory(ctx.label.name)
    debian = [file for file in ctx.files.debian if file.extension == "layer"][0]
    ctx.actions.run(
        executable = ctx.file.python,
        arguments = ["-I", ctx.file.program.path, debian.path, ctx.files.prefix[0].path, layout.path],
        inputs = [ctx.file.program] + ctx.files.debian + ctx.files.prefix,
        outputs = [layout],
        mnemonic = "PythonBase",
    )
    return [DefaultInfo(files = depset([layout]))]

python_base = rule(
    implementation = _impl,
    attrs = {
        "debian": attr.label(mandatory = True),
        "prefix": attr.label(mandatory = True, allow_files = True, cfg = "exec"),
        "program": attr.label(mandatory = True, allow_single_file = [".py"]),
        "python": attr.label(mandatory = True, allow_single_file = True, cfg = "exec"),
    },
    doc = "An OCI layout directory of two layers: Debian's packages, and the Python in /usr/local.",
)
