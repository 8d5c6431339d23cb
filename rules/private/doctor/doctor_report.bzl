"""doctor_report: prints what the doctor found in an image. `chassis_image` makes one, called after the image."""

load("//rules/private/tools:runfiles.bzl", "FIND_RUNFILES", "runfiles_path", "shell_quote")
load("//rules/providers:doctor_info.bzl", "DoctorInfo")

_DOC = """Prints the doctor's whole report of an image: `bazel run //model:image.doctor`, as JSON with `-- --json`.

Exit status 1 if there are findings. Building it does not fail on them, as building the image does.
"""

def _image_of(image):
    return Label(image)

# Bazel runs the validations of all that a target depends on, but for what a private attribute names. That is asked for
# here, where the report is wanted most when the validation fails (`skip_validations` comes with Bazel 8).
_ATTRS = {
    "image": attr.string(mandatory = True, doc = "Label of the image, absolute."),
    "_image": attr.label(default = _image_of, providers = [DoctorInfo]),
}

_SCRIPT = """\
report="$RUNFILES_DIR/"%s
if [ "${1-}" = --json ]; then report="$RUNFILES_DIR/"%s; fi
cat "$report" || exit 2
if [ -s "$RUNFILES_DIR/"%s ]; then exit 1; fi
"""

def _impl(ctx):
    info = ctx.attr._image[DoctorInfo]
    files = [info.report, info.json, info.findings]
    launcher = ctx.actions.declare_file(ctx.label.name)
    ctx.actions.write(
        launcher,
        FIND_RUNFILES + _SCRIPT % tuple([shell_quote(runfiles_path(ctx, file)) for file in files]),
        is_executable = True,
    )
    return [DefaultInfo(executable = launcher, runfiles = ctx.runfiles(files))]

_doctor_report = rule(implementation = _impl, attrs = _ATTRS, doc = _DOC, executable = True)

def doctor_report(name, image, **kwargs):
    """A `doctor_report` of an image.

    Args:
      name: the target's name.
      image: label of the image.
      **kwargs: Bazel's common attributes.
    """
    _doctor_report(name = name, image = str(native.package_relative_label(image)), **kwargs)
