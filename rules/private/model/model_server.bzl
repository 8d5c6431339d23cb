"""model_server: Python code that serves models, as images take it."""

load("@rules_python//python:py_info.bzl", "PyInfo")
load("//rules/private/image:layer.bzl", "files_layer")
load("//rules/private/image:layer_flags.bzl", "LAYER_ATTRS")
load("//rules/private/python:image_python.bzl", "python_of")
load("//rules/private/tools:names.bzl", "names")
load("//rules/providers:code_info.bzl", "CodeInfo")
load("//rules/providers:server_info.bzl", "ServerInfo")
load(":packaging.bzl", "packaging")

_DOC = """A model server: its first-party code goes into the virtual environment of the image, its wheels beside."""

_ATTRS = LAYER_ATTRS | {
    "deps": attr.label_list(providers = [PyInfo], aspects = [packaging], doc = "The server's libraries and wheels."),
    "main_module": attr.string(mandatory = True, doc = "What `python -m` starts."),
    "_files_layer": attr.label(default = "//chassis/tools:files_layer", cfg = "exec", executable = True),
    "_pyvenv_cfg": attr.label(default = "//rules/private/python:pyvenv.cfg", allow_single_file = True),
}

def _pyvenv_cfg(ctx, python):
    """The file that makes a virtual environment of a directory: it says where the base's Python is."""
    home = python.path.rpartition("/")[0]
    if home == "/usr/bin":
        return ctx.file._pyvenv_cfg
    file = ctx.actions.declare_file(ctx.label.name + ".pyvenv.cfg")
    ctx.actions.write(file, "home = %s\ninclude-system-site-packages = false\n" % home)
    return file

def _impl(ctx):
    infos = [dep[CodeInfo] for dep in ctx.attr.deps]
    python = python_of(ctx)
    site_packages = "opt/venv/lib/python%s/site-packages/" % python.version
    entries = {"opt/venv/pyvenv.cfg": _pyvenv_cfg(ctx, python)}
    for file in depset(transitive = [info.files for info in infos]).to_list():
        entries[site_packages + names.path_in_repository(file)] = file
    layer = files_layer(
        ctx,
        ctx.label.name,
        ctx.attr._files_layer[DefaultInfo].files_to_run,
        "runtime",
        "",
        entries,
        symlinks = {
            "opt/venv/bin/python": python.path,
            "opt/venv/bin/python" + python.version: "python",
            "opt/venv/bin/python3": "python",
        },
    )
    return [
        DefaultInfo(files = depset([layer.blob, layer.descriptor])),
        ServerInfo(
            entrypoint = ["/opt/venv/bin/python", "-m", ctx.attr.main_module],
            env = {
                "PATH": "/opt/venv/bin:/usr/local/bin:/usr/bin:/bin",
                "PYTHONDONTWRITEBYTECODE": "1",
                # The working directory holds no code: `-m` must not import from it.
                "PYTHONSAFEPATH": "1",
                "PYTHONUNBUFFERED": "1",
                "PYTHONUTF8": "1",
                "VIRTUAL_ENV": "/opt/venv",
            },
            layers = [layer],
            wheels = depset(transitive = [info.wheels for info in infos]),
        ),
    ]

model_server = rule(
    implementation = _impl,
    attrs = _ATTRS,
    doc = _DOC,
    provides = [ServerInfo],
)
