"""compiled_python: an unpacked Python with its library compiled and packed by an action, where the machine that fetched it cannot.

On Linux the repository does it, once for all actions (debian_repository.bzl). With remote execution from another machine it is this
action of the engine's, of the same steps.
"""

_ATTRS = {
    "launcher": attr.label(mandatory = True, allow_single_file = True, doc = "What starts the Python that is beside it."),
    "pythonhome": attr.string(mandatory = True, doc = "Where the root has its `lib/python3.x`."),
    "root": attr.label_list(mandatory = True, allow_files = True, doc = "The files of the root as they were unpacked."),
    "_few_files": attr.label(default = "//chassis/fetching:few_files.py", allow_single_file = True),
}

# `$1` the launcher, `$2` the root that it starts, `$3` the one to make, `$4` pythonhome, `$5` few_files.py.
_COMPILE = """\
set -eu
cp -R -L "$2/." "$3/"
chmod -R u+w "$3"
library=$(echo "$3/$4"/lib/python3.*)
"$1" -m compileall -q -q -j 0 --invalidation-mode unchecked-hash -s "$library" "$3/$4/lib" || [ $? -eq 1 ]
exec "$1" -S "$5" "$3" "$4"
"""

def _impl(ctx):
    # A directory and a program beside it, by the names that the launcher and whoever looks for it know.
    root = ctx.actions.declare_directory("root")
    raw = ctx.file.launcher.dirname + "/root"
    ctx.actions.run_shell(
        command = _COMPILE,
        arguments = [ctx.file.launcher.path, raw, root.path, ctx.attr.pythonhome, ctx.file._few_files.path],
        inputs = [ctx.file.launcher, ctx.file._few_files] + ctx.files.root,
        outputs = [root],
        env = {"LC_ALL": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "0", "TZ": "UTC"},
        mnemonic = "CompilePython",
        progress_message = "Compiling the library of %{label}",
        toolchain = None,
    )
    return [DefaultInfo(files = depset([root]), runfiles = ctx.runfiles([root]))]

compiled_python = rule(implementation = _impl, attrs = _ATTRS, doc = "The directory `root`.")

def _launcher_impl(ctx):
    program = ctx.actions.declare_file("python")
    ctx.actions.expand_template(template = ctx.file.launcher, output = program, substitutions = {}, is_executable = True)
    return [DefaultInfo(executable = program, files = depset([program]))]

python_launcher = rule(
    implementation = _launcher_impl,
    attrs = {"launcher": attr.label(mandatory = True, allow_single_file = True)},
    doc = "The launcher beside the root of `compiled_python`.",
    executable = True,
)
