"""image_python: a Python that images can have, as one target."""

load("//rules/private/declaration:declared.bzl", "PYTHONS")
load("//rules/private/tools:root_runfiles.bzl", "path_in_runfiles")
load("//rules/providers:image_python_info.bzl", "ImagePythonInfo")
load("//rules/providers:tool_python_info.bzl", "ToolPythonInfo")

_DOC = """A Python of images: the version and an interpreter of it for the build machine. Use `image_python` of defs.bzl."""

_ATTRS = {
    "files": attr.label_list(allow_files = True, cfg = "exec", doc = "What the interpreter reads."),
    "interpreter": attr.label(mandatory = True, allow_single_file = True, cfg = "exec", doc = "The program."),
    "path": attr.string(mandatory = True, doc = "Where the base has it."),
    "version": attr.string(mandatory = True, doc = "The minor version."),
    "_tools_python": attr.label(default = "//platforms/toolchains:python", cfg = "exec", providers = [ToolPythonInfo]),
}

def _impl(ctx):
    tools = ctx.attr._tools_python[ToolPythonInfo]
    own = ctx.file.interpreter != tools.interpreter
    if not own and ctx.attr.version != tools.python_version:
        fail("\n%s: version = %s, and its interpreter is Python %s\nGive `interpreter` a Python %s that runs on the build machine." % (
            ctx.label,
            ctx.attr.version,
            tools.python_version,
            ctx.attr.version,
        ))

    # The interpreter in the runfiles of a program that does nothing, see root_runfiles.bzl.
    program = ctx.actions.declare_file(ctx.label.name)
    ctx.actions.write(program, "#!/bin/sh\n", is_executable = True)
    runfiles = ctx.runfiles([ctx.file.interpreter] + ctx.files.files).merge(ctx.attr.interpreter[DefaultInfo].default_runfiles)
    return [
        DefaultInfo(executable = program, runfiles = runfiles),
        ImagePythonInfo(
            interpreter = ctx.file.interpreter if own else None,
            label = ctx.label,
            path = ctx.attr.path,
            version = ctx.attr.version,
        ),
    ]

_image_python = rule(implementation = _impl, attrs = _ATTRS, doc = _DOC, executable = True, provides = [ImagePythonInfo])

def _missing_impl(ctx):
    fail("\n%s" % ctx.attr.message)

missing_python = rule(
    implementation = _missing_impl,
    attrs = {"message": attr.string(mandatory = True)},
    doc = "What stands for a Python, or a part of one, that the workspace does not have: it fails when it is asked for.",
)

# On a machine, or for a platform, that no Python of images can be for: what needs one is passed over.
_OTHER = {Label("//platforms:is_other"): Label("//platforms/toolchains:other_machine")}

def _check_architectures(image_python, part, by_architecture):
    for architecture in by_architecture:
        if architecture not in ["amd64", "arm64"]:
            fail("image_python(name = %r): %s = {%r: …}: expected amd64 and arm64" % (image_python, part, architecture))

def _by_build_machine(image_python, part, by_architecture, tags):
    """A target of what is given by the CPU of the build machine, for an attribute with `cfg = "exec"` to name."""
    _check_architectures(image_python, part, by_architecture)
    name = "%s.%s" % (image_python, part)
    arms = dict(_OTHER)
    for architecture, given in by_architecture.items():
        if type(given) == "list":
            native.filegroup(name = "%s_%s" % (name, architecture), srcs = given, tags = tags, visibility = ["//visibility:private"])
            given = "%s_%s" % (name, architecture)
        arms[Label("//platforms:is_linux_%s_any" % architecture)] = given
    native.alias(
        name = name,
        actual = select(
            arms,
            no_match_error = "image_python %s has an `%s` for build machines of Linux on %s alone; give it one for this build machine too" % (
                image_python,
                part,
                " and ".join(sorted(by_architecture)),
            ),
        ),
        tags = tags,
        visibility = ["//visibility:private"],
    )
    return name

def _for_no_other(name, image_python, part, architectures, tags):
    """A target for the platforms that a part is not given for: `bazel build //...` passes over the images that need it there.

    Who asks for such an image by name reads the name of the constraint.
    """
    constraint = "%s_has_a_%s_for_%s" % (image_python, part, "_and_".join(sorted(architectures)))
    native.constraint_value(
        name = constraint,
        constraint_setting = Label("//platforms/toolchains:build_machine"),
        tags = tags,
        visibility = ["//visibility:public"],
    )
    native.filegroup(
        name = name + "_for_no_other",
        tags = tags,
        target_compatible_with = [":" + constraint],
        visibility = ["//visibility:private"],
    )
    return name + "_for_no_other"

def _part(name, image_python, part, actual, tags, visibility):
    if type(actual) == "dict":
        _check_architectures(image_python, part, actual)
        arms = {Label("//platforms:is_linux_%s_any" % architecture): label for architecture, label in actual.items()}
        others = {"//conditions:default": _for_no_other(name, image_python, part, actual, tags)} if len(actual) == 1 else {}
        actual = select(arms | _OTHER | others)
    if actual:
        native.alias(name = name, actual = actual, tags = tags, visibility = visibility)
    else:
        missing_python(
            name = name,
            message = "image_python //%s:%s has no `%s`, which is asked for here; give it one (docs/python.md)" % (native.package_name(), image_python, part),
            tags = tags,
            visibility = visibility,
        )

def image_python(
        name,
        version,
        interpreter,
        files = [],
        base = None,
        headers = None,
        target_interpreter = None,
        path = None,
        tags = [],
        visibility = ["//visibility:public"]):
    """A Python for images, of one's own: for a version that Chassis does not bring, or from other sources.

    Name it in MODULE.bazel, and `--@chassis//rules:python=3.12` and `chassis_image(python = "3.12")` choose it:

    ```starlark
    pythons = use_extension("@chassis//rules:extensions.bzl", "pythons")
    pythons.image_python(version = "3.12", target = "//:python312")
    ```

    Args:
      name: the target's name.
      version: the minor version, such as `3.12`.
      interpreter: an interpreter of that version that runs on the build machine: it pickles, checks and compiles. The
        program's file, such as `@python_3_12_x86_64-unknown-linux-gnu//:python3` of rules_python; or a dict from the build
        machine's architecture, `amd64` or `arm64`.
      files: what the interpreter reads, such as `@python_3_12_x86_64-unknown-linux-gnu//:files`; or a dict from the build
        machine's architecture to lists of labels.
      base: the base of images, with that Python in it: a `debian_base` or an OCI layout such as `oci.pull` makes; or a
        dict from `amd64` and `arm64` to them.
      headers: for wheels built from source: a directory with `usr/include` and the library as Debian's `libpython3.x-dev`
        has them; or a dict from architecture.
      target_interpreter: the same Python for the target platform, as a program that the build machine runs, for models
        with `pickle_on = "target"`; or a dict from architecture.
      path: where the base has its Python; `/usr/bin/python3.12` if it is left out, `/usr/local/bin/python3.12` in the
        images called `python`.
      tags: Bazel's.
      visibility: Bazel's.
    """
    if version not in PYTHONS:
        fail("image_python(name = %r): version = %r: an image can have %s" % (name, version, ", ".join(PYTHONS)))
    if path and not path.startswith("/"):
        fail("image_python(name = %r): path = %r: expected an absolute path such as /usr/local/bin/python%s" % (name, path, version))
    if type(interpreter) == "dict":
        interpreter = _by_build_machine(name, "interpreter", interpreter, tags + ["manual"])
    if type(files) == "dict":
        files = [_by_build_machine(name, "files", files, tags + ["manual"])]
    _image_python(
        name = name,
        files = files,
        interpreter = interpreter,
        path = path or "/usr/bin/python" + version,
        tags = tags + ["manual"],
        version = version,
        visibility = visibility,
    )
    for part, actual in [("base", base), ("target_interpreter", target_interpreter)]:
        _part("%s.%s" % (name, part), name, part, actual, tags + ["manual"], visibility)

    # By architecture, since what builds a wheel takes them in the build machine's configuration.
    for architecture in ["amd64", "arm64"]:
        actual = headers.get(architecture) if type(headers) == "dict" else headers
        _part("%s.headers_%s" % (name, architecture), name, "headers", actual, tags + ["manual"], visibility)

def _target(ctx):
    if hasattr(ctx.attr, "_image_python"):
        return ctx.attr._image_python

    # Of an image, which may ask for a Python of its own (rules/private/image/image_parts.bzl).
    # With a transition, a single-valued attribute is a list of one.
    moved = ctx.attr.moved_image_python
    return (moved[0] if type(moved) == "list" else moved) if moved else ctx.attr.image_python

def python_of(ctx):
    """The image's Python of a rule or an aspect with `_image_python`, or of an image.

    Args:
      ctx: its context.

    Returns:
      An ImagePythonInfo.
    """
    target = _target(ctx)
    if ImagePythonInfo not in target:
        fail(("\n%s: the image's Python, %s, has an interpreter for another CPU than the build machine's\n" +
              "Give its image_python an `interpreter` for this one, or a dict with one for each CPU (docs/python.md).") % (ctx.label, target.label))
    return target[ImagePythonInfo]

def interpreter_of(ctx):
    """How an action's tool starts the image's Python, if it is not the tool's own.

    Args:
      ctx: context of a rule or an aspect with `_image_python`.

    Returns:
      struct(args: list of string, for the tool; tools: for the action).
    """
    interpreter = python_of(ctx).interpreter
    if not interpreter:
        return struct(args = [], tools = [])
    tool = _target(ctx)[DefaultInfo].files_to_run
    return struct(args = ["--interpreter=" + path_in_runfiles(ctx, tool, interpreter)], tools = [tool])
