"""model_server: Python code that serves models, as images take it."""

load("@rules_python//python:py_info.bzl", "PyInfo")
load("//rules/private/image:layer.bzl", "files_layer", "layer_action")
load("//rules/private/image:layer_flags.bzl", "LAYER_ATTRS")
load("//rules/private/python:image_python.bzl", "python_of")
load("//rules/private/tools:names.bzl", "names")
load("//rules/providers:code_info.bzl", "CodeInfo")
load("//rules/providers:server_info.bzl", "ServerInfo")
load("//rules/providers:wheel_info.bzl", "WheelLayerInfo")
load(":packaging.bzl", "packaging")

_DOC = """A model server: its first-party code goes into the virtual environment of the image, where the model's process has it
too; its wheels go into a place of their own, `/opt/chassis`, which its own process alone imports from."""

_PLACE = "opt/chassis"

_ATTRS = LAYER_ATTRS | {
    "deps": attr.label_list(providers = [PyInfo], aspects = [packaging], doc = "The server's libraries and wheels."),
    "model_deps": attr.label_list(
        providers = [PyInfo],
        aspects = [packaging],
        doc = "Wheels that the model's process needs, if the model does not bring them itself.",
    ),
    "distribution": attr.string(mandatory = True, doc = "What scanners and `importlib.metadata` call it, such as `chassis-server`."),
    "main_module": attr.string(mandatory = True, doc = "What `python -m` starts."),
    "version": attr.string(mandatory = True, doc = "Its version, such as `0.1.0`."),
    "_files_layer": attr.label(default = "//chassis/tools:files_layer", cfg = "exec", executable = True),
    "_pyvenv_cfg": attr.label(default = "//rules/private/python:pyvenv.cfg", allow_single_file = True),
    "_wheel_layer": attr.label(default = "//chassis/tools:wheel_layer", cfg = "exec", executable = True),
}

def _pyvenv_cfg(ctx, python):
    """The file that makes a virtual environment of a directory: it says where the base's Python is."""
    home = python.path.rpartition("/")[0]
    if home == "/usr/bin":
        return ctx.file._pyvenv_cfg
    file = ctx.actions.declare_file(ctx.label.name + ".pyvenv.cfg")
    ctx.actions.write(file, "home = %s\ninclude-system-site-packages = false\n" % home)
    return file

def _dist_info(ctx, site_packages):
    """The entries by which an installed distribution is known, so that scanners list the server (PyPA, "Core metadata")."""
    metadata = ctx.actions.declare_file(ctx.label.name + ".METADATA")
    ctx.actions.write(metadata, "Metadata-Version: 2.4\nName: %s\nVersion: %s\nSummary: %s\nLicense-Expression: Apache-2.0\n" % (
        ctx.attr.distribution,
        ctx.attr.version,
        "The model server of this image",
    ))
    folder = "%s%s-%s.dist-info/" % (site_packages, ctx.attr.distribution.replace("-", "_"), ctx.attr.version)
    return {folder + "METADATA": metadata}

def _own_layer(ctx, wheel):
    """The layer of a wheel in the server's own place."""
    args = ctx.actions.args()
    args.add("--venv=" + _PLACE)
    args.add(wheel.wheel, format = "--wheel=%s")
    return layer_action(
        ctx,
        "%s.%s" % (ctx.label.name, wheel.distribution),
        ctx.attr._wheel_layer[DefaultInfo].files_to_run,
        args,
        [wheel.wheel],
        "wheel %s %s for the server" % (wheel.distribution, wheel.version),
        "WheelLayer",
    )

def _impl(ctx):
    infos = [dep[CodeInfo] for dep in ctx.attr.deps]
    python = python_of(ctx)
    in_environment = "/lib/python%s/site-packages" % python.version
    site_packages = "opt/venv%s/" % in_environment
    pyvenv_cfg = _pyvenv_cfg(ctx, python)
    entries = {
        _PLACE + "/pyvenv.cfg": pyvenv_cfg,
        "opt/venv/pyvenv.cfg": pyvenv_cfg,
    }
    for file in depset(transitive = [info.files for info in infos]).to_list():
        entries[site_packages + names.path_in_repository(file)] = file
    entries.update(_dist_info(ctx, site_packages))
    layer = files_layer(
        ctx,
        ctx.label.name,
        ctx.attr._files_layer[DefaultInfo].files_to_run,
        "runtime",
        "",
        entries,
        symlinks = {
            _PLACE + "/bin/python": python.path,
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
            model_wheels = depset(transitive = [dep[CodeInfo].wheels for dep in ctx.attr.model_deps]),
            own_place = "/" + _PLACE + in_environment,
            shared_place = "/" + site_packages.removesuffix("/"),
            wheels = depset([
                WheelLayerInfo(layer = _own_layer(ctx, entry.wheel), record = entry.record, wheel = entry.wheel)
                for entry in depset(transitive = [info.wheels for info in infos]).to_list()
            ]),
        ),
    ]

model_server = rule(
    implementation = _impl,
    attrs = _ATTRS,
    doc = _DOC,
    provides = [ServerInfo],
)
