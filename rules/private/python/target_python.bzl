"""target_python: the target's Python as a program of the build, emulated if its CPU is another than the build machine's."""

load("//rules/private/declaration:declared.bzl", "LOADERS")
load("//rules/private/platform:target.bzl", "emulated_cpu", "target_cpu")
load("//rules/private/tools:runfiles.bzl", "FIND_RUNFILES", "runfiles_path", "shell_quote")
load("//rules/providers:target_python_info.bzl", "TargetPythonInfo")

_DOC = """Starts the Python of unpacked packages with the packages' own loader and libraries.

The packages are those of the default base, so what runs here is, byte for byte, what runs in the image.
"""

_ATTRS = {
    "architecture": attr.string(mandatory = True),
    "cpu": attr.string(),
    "emulator": attr.label(allow_files = True, cfg = "exec", doc = "A program, or nothing if the machine runs the Python itself."),
    "python_version": attr.string(mandatory = True),
    "root": attr.label(mandatory = True, allow_files = True),
}

_LAUNCHER = """\
find_runfile {root}
root=$found
export PYTHONHOME="$root/usr"
loader="$root/lib/{triple}/{loader}"
if [ ! -e "$loader" ]; then loader="$root/usr/lib/{triple}/{loader}"; fi
exec {emulator}"$loader" --argv0 "$self" \\
  --library-path "$root/lib/{triple}:$root/usr/lib/{triple}" \\
  "$root/usr/bin/python{version}" "$@"
"""

def _impl(ctx):
    root = ctx.files.root[0]
    triple, loader = LOADERS[ctx.attr.architecture]
    emulator = ""
    if ctx.files.emulator:
        emulator = '"$RUNFILES_DIR/"%s -cpu %s ' % (
            shell_quote(runfiles_path(ctx, ctx.files.emulator[0])),
            emulated_cpu(ctx.label, ctx.attr.architecture, ctx.attr.cpu, True),
        )
    launcher = ctx.actions.declare_file(ctx.label.name)
    ctx.actions.write(launcher, FIND_RUNFILES + _LAUNCHER.format(
        emulator = emulator,
        loader = loader,
        root = shell_quote(runfiles_path(ctx, root)),
        triple = triple,
        version = ctx.attr.python_version,
    ), is_executable = True)
    files = [root] + ctx.files.emulator
    return [
        DefaultInfo(executable = launcher, files = depset([launcher]), runfiles = ctx.runfiles(files)),
        TargetPythonInfo(emulated = bool(emulator), python_version = ctx.attr.python_version),
    ]

_target_python = rule(
    implementation = _impl,
    attrs = _ATTRS,
    doc = _DOC,
    executable = True,
    provides = [TargetPythonInfo],
)

def target_python(name, architecture, python_version, root, **kwargs):
    """The Python of unpacked packages, for a build machine of Linux.

    Args:
      name: the target's name.
      architecture: the packages', `amd64` or `arm64`.
      python_version: the minor version of the Python among them.
      root: the unpacked packages.
      **kwargs: Bazel's common attributes.
    """
    _target_python(
        name = name,
        architecture = architecture,
        cpu = target_cpu(),
        emulator = Label("//platforms/build_machine:starts_" + architecture),
        python_version = python_version,
        root = root,
        **kwargs
    )
