"""Images of many small wheels and nothing else."""

load("//rules:defs.bzl", "BaseInfo", "chassis_image")
load("//rules/private/declaration:declared.bzl", "DEFAULT_PYTHON")
load("//rules/private/model:packaging.bzl", "packaging")
load("//rules/private/platform:target.bzl", "target_architecture")
load("//rules/private/wheels:wheel.bzl", "wheel")
load("//rules/providers:code_info.bzl", "CodeInfo")
load("//rules/providers:model_info.bzl", "ModelInfo")
load("//rules/providers:server_info.bzl", "ServerInfo")

def _bare_model_impl(ctx):
    return [ModelInfo(
        imports = [""],
        layers = [],
        name = ctx.label.name,
        python_version = DEFAULT_PYTHON,
        version = "1",
        wheels = depset(transitive = [dep[CodeInfo].wheels for dep in ctx.attr.deps]),
    )]

_bare_model = rule(
    implementation = _bare_model_impl,
    attrs = {"deps": attr.label_list(aspects = [packaging], doc = "Wheels.")},
    doc = "A model that is nothing but wheels.",
)

def _bare_base_impl(ctx):
    return [
        BaseInfo(architecture = ctx.attr.architecture, env = {}, layers = [], python_version = DEFAULT_PYTHON),
        ServerInfo(entrypoint = ["/opt/venv/bin/python"], env = {}, layers = [], model_wheels = depset(), own_place = "", shared_place = "", wheels = depset()),
    ]

_bare_base = rule(
    implementation = _bare_base_impl,
    attrs = {"architecture": attr.string(mandatory = True)},
    doc = "A base without layers, and a server without either.",
)

def wheels(name, versions, sizes):
    """Wheels to build images of.

    Args:
      name: of the target that writes the files.
      versions: distribution (letters, digits, underscores) to its version; each has a target of its name.
      sizes: distribution to the size in bytes that its wheel is said to have.
    """
    every = versions.items()
    native.genrule(
        name = name,
        outs = ["%s-%s-py3-none-any.whl" % wheel for wheel in every],
        cmd = "$(execpath %s) --output=$(RULEDIR) " % Label("//tests/layers:make_wheels") + " ".join(["--wheel=%s==%s" % wheel for wheel in every]),
        tools = [Label("//tests/layers:make_wheels")],
    )
    for distribution, version in every:
        wheel(
            name = distribution,
            src = "%s-%s-py3-none-any.whl" % (distribution, version),
            distribution = distribution.replace("_", "-"),
            lock = "//tests/layers, %s" % distribution,
            size = sizes[distribution],
            version = version,
            visibility = ["//tests/layers:__subpackages__"],
        )
    _bare_base(name = name + "_base", architecture = target_architecture())

def wheel_image(name, made_by, wheels, base = None, **kwargs):
    """An image of wheels.

    Args:
      name: the target's name.
      made_by: the `wheels` target.
      wheels: the wheels' labels.
      base: the OCI layout of a base; nothing if it is left out.
      **kwargs: attributes of `chassis_image`.
    """
    _bare_model(
        name = name + "_model",
        deps = wheels,
    )
    chassis_image(
        name = name,
        base = base or made_by + "_base",
        doctor_allow = {"IMG001": "nothing starts these images: they are made for their layers"},
        model = name + "_model",
        model_server = made_by + "_base",
        **kwargs
    )
