"""The set of requirements that hubs select by: chosen by an image or a test, for all that it depends on."""

REQUIREMENTS_FLAG = str(Label("//rules:requirements"))

def chosen_requirements(settings, requirements):
    """The flag of the set of requirements.

    Args:
      settings: a transition's.
      requirements: string, the set; if it is empty, the flag stays.

    Returns:
      dict from REQUIREMENTS_FLAG to its value.
    """
    return {REQUIREMENTS_FLAG: requirements or settings[REQUIREMENTS_FLAG]}

def _choose(settings, attr):
    return chosen_requirements(settings, attr.requirements)

# For a rule with an attribute `requirements`; if that is empty, the command line's set holds.
requirements_transition = transition(
    implementation = _choose,
    inputs = [REQUIREMENTS_FLAG],
    outputs = [REQUIREMENTS_FLAG],
)

def _forget(_settings, _attr):
    return {REQUIREMENTS_FLAG: ""}

# For what is the same in every set, so that it is made once for all of them.
no_requirements_transition = transition(
    implementation = _forget,
    inputs = [],
    outputs = [REQUIREMENTS_FLAG],
)

TRANSITION_ATTRS = {
    "_allowlist_function_transition": attr.label(default = "@bazel_tools//tools/allowlists/function_transition_allowlist"),
}

REQUIREMENTS_ATTRS = TRANSITION_ATTRS | {
    "requirements": attr.string(doc = "The set of requirements, of a hub with `sets`."),
}
