"""What an image is made of whose configuration may be another than the image's: its base, model, server and Python.

An image that asks for a Python or a set of requirements has these behind a transition; so has one whose platform names a
Python. Most ask for nothing, and a transition that changes nothing is among the dearest things in the analysis of a
thousand images: Bazel runs it again for each, and hashes all of its options to find that they are the same. So each part is an
attribute twice, and the macro says which of the two is set.
"""

load("//rules/private/declaration:declared.bzl", "PYTHONS")
load("//rules/private/platform:requirements_transition.bzl", "REQUIREMENTS_ATTRS")
load("//rules/private/python:python_transition.bzl", "platform_python", "python_transition")
load("//rules/providers:image_python_info.bzl", "ImagePythonInfo")
load("//rules/providers:model_info.bzl", "ModelInfo")
load("//rules/providers:server_info.bzl", "ServerInfo")
load(":model_transition.bzl", "model_transition")

# For rules that make images, over LAYER_ATTRS without its `_image_python`: that is in the outer configuration.
IMAGE_PARTS_ATTRS = REQUIREMENTS_ATTRS | {
    "base": attr.label(allow_files = True),
    "image_python": attr.label(providers = [ImagePythonInfo]),
    "model": attr.label(providers = [ModelInfo]),
    "moved_base": attr.label(allow_files = True, cfg = python_transition),
    "moved_image_python": attr.label(providers = [ImagePythonInfo], cfg = python_transition),
    "moved_model": attr.label(providers = [ModelInfo], cfg = model_transition),
    "moved_server": attr.label(providers = [ServerInfo], cfg = python_transition),
    "python": attr.string(),
    "server": attr.label(providers = [ServerInfo]),
}

_IMAGE_PYTHON = Label("//base_images:image_python")
_NAMED_BY_PLATFORM = [Label("//platforms/python:platform_is_" + version) for version in PYTHONS]

def _by_platform(named, otherwise):
    return select({condition: named for condition in _NAMED_BY_PLATFORM} | {"//conditions:default": otherwise})

# Made once, not for each of a thousand images.
_IMAGE_PYTHON_ATTRS = {
    "image_python": _by_platform(None, _IMAGE_PYTHON),
    "moved_image_python": _by_platform(_IMAGE_PYTHON, None),
}

def image_parts(where, python, requirements, parts):
    """The attributes of the rule for what its macro was given.

    Args:
      where: string, the target, for errors.
      python: string, the image's Python; None or "" if it asks for none.
      requirements: string, its set of requirements, "" for none.
      parts: dict from `base`, `model` and `server` to labels, or to `select`s of labels.

    Returns:
      A dict.
    """
    for name, part in parts.items():
        if not part:
            fail("%s: its %s is missing: expected a label" % (where, name))
    common = {"python": python or platform_python(), "requirements": requirements}
    if python or requirements or "select" in [type(part) for part in parts.values()]:
        return common | {"moved_" + name: part for name, part in parts.items()} | {"moved_image_python": _IMAGE_PYTHON}
    return common | {
        "moved_" + name: _by_platform(part, None)
        for name, part in parts.items()
    } | {
        name: _by_platform(None, part)
        for name, part in parts.items()
    } | _IMAGE_PYTHON_ATTRS

def image_part(ctx, name):
    """A part, whichever of its two attributes is set.

    Args:
      ctx: context of a rule with `IMAGE_PARTS_ATTRS`.
      name: `base`, `model` or `server`.

    Returns:
      A Target.
    """
    moved = getattr(ctx.attr, "moved_" + name)

    # With a transition, a single-valued attribute is a list of one.
    return (moved[0] if type(moved) == "list" else moved) if moved else getattr(ctx.attr, name)
