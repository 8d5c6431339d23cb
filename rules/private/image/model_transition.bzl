"""The configuration of an image's model: its Python and its set of requirements, for all that the model depends on."""

load("//rules/private/platform:requirements_transition.bzl", "REQUIREMENTS_FLAG", "chosen_requirements")
load("//rules/private/python:python_transition.bzl", "PYTHON_FLAGS", "chosen_python")

_FLAGS = PYTHON_FLAGS + [REQUIREMENTS_FLAG]

def _impl(settings, attr):
    return chosen_python(settings, attr.python) | chosen_requirements(settings, attr.requirements)

# For a rule with the attributes `python` and `requirements`; if one is empty, its flag holds.
model_transition = transition(implementation = _impl, inputs = _FLAGS, outputs = _FLAGS)
