"""Transitions of the image's Python: to the one that an attribute names, and to that of the tools."""

load("@chassis_neighbours//:neighbours.bzl", "RULES_PYTHON_VERSION_FLAG")
load("//rules/private/declaration:declared.bzl", "PYTHONS", "TOOLS_PYTHON")

_FLAG = "//rules:python"

# rules_python's own flag moves with it, if the rules_python of the workspace has one, so that its libraries and hubs agree.
# What it was outside is kept, for programs of the build: they are to have one configuration.
_OUTSIDE = "//rules/private/python:outside"
PYTHON_FLAGS = [_FLAG] + ([RULES_PYTHON_VERSION_FLAG, _OUTSIDE] if RULES_PYTHON_VERSION_FLAG else [])

def chosen_python(settings, python):
    """The flags of an image's Python.

    Args:
      settings: a transition's.
      python: string, the version; if it is empty, the flags stay.

    Returns:
      dict from each of PYTHON_FLAGS to its value.
    """
    settings = {flag: settings[flag] for flag in PYTHON_FLAGS}
    if not python:
        return settings
    settings[_FLAG] = python
    if RULES_PYTHON_VERSION_FLAG:
        settings[_OUTSIDE] = settings[_OUTSIDE] or "=" + settings[RULES_PYTHON_VERSION_FLAG]
        settings[RULES_PYTHON_VERSION_FLAG] = python
    return settings

def _python_impl(settings, attr):
    return chosen_python(settings, attr.python)

# For an attribute `python` of the rule; if that is empty, the flag holds.
python_transition = transition(implementation = _python_impl, inputs = PYTHON_FLAGS, outputs = PYTHON_FLAGS)

def _python_version_impl(settings, attr):
    return chosen_python(settings, attr.python_version)

# The same for an attribute `python_version`.
python_version_transition = transition(implementation = _python_version_impl, inputs = PYTHON_FLAGS, outputs = PYTHON_FLAGS)

def _tools_impl(settings, _attr):
    settings = {flag: settings[flag] for flag in PYTHON_FLAGS} | {_FLAG: TOOLS_PYTHON}
    if settings.get(_OUTSIDE):
        settings[RULES_PYTHON_VERSION_FLAG] = settings[_OUTSIDE].removeprefix("=")
        settings[_OUTSIDE] = ""
    return settings

# For programs of the build: they are the same, and built once, whatever Python an image asks for.
tools_python_transition = transition(implementation = _tools_impl, inputs = PYTHON_FLAGS, outputs = PYTHON_FLAGS)

TRANSITION_ATTRS = {
    "_allowlist_function_transition": attr.label(default = "@bazel_tools//tools/allowlists/function_transition_allowlist"),
}

def check_python(where, python):
    """Fails if an image cannot have the version `python`.

    Args:
      where: string, the target, for the error.
      python: string or None.
    """
    if python and python not in PYTHONS:
        fail("%s: python = %r: an image can have %s" % (where, python, ", ".join(PYTHONS)))

_PLATFORM_PYTHON = select({
    Label("//platforms/python:platform_is_" + version): version
    for version in PYTHONS
} | {"//conditions:default": ""})

def platform_python():
    """The Python that the target platform names, "" if it names none: a value for an attribute `python`.

    With it the flag says the same as the platform, for the build machine's part of the image too.

    Returns:
      A `select` over the constraint values of `//platforms/python`.
    """
    return _PLATFORM_PYTHON
