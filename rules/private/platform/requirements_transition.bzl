"""The set of requirements that hubs select by: chosen by an image or a test, for all that it depends on."""

_FLAG = str(Label("//rules:requirements"))

def _choose(settings, attr):
    return {_FLAG: attr.requirements or settings[_FLAG]}

# For a rule with an attribute `requirements`; where that is empty, the command line's set holds.
requirements_transition = transition(
    implementation = _choose,
    inputs = [_FLAG],
    outputs = [_FLAG],
)

def _forget(_settings, _attr):
    return {_FLAG: ""}

# For what is the same in every set, so that it is made once for all of them.
no_requirements_transition = transition(
    implementation = _forget,
    inputs = [],
    outputs = [_FLAG],
)

TRANSITION_ATTRS = {
    "_allowlist_function_transition": attr.label(default = "@bazel_tools//tools/allowlists/function_transition_allowlist"),
}

REQUIREMENTS_ATTRS = TRANSITION_ATTRS | {
    "requirements": attr.string(doc = "The set of requirements, of a hub with `sets`."),
}
