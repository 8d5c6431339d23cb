"""platform_transition: builds a dependency for the platform that an attribute names."""

def _impl(settings, attr):
    if not attr.platform:
        return {"//command_line_option:platforms": settings["//command_line_option:platforms"]}
    return {"//command_line_option:platforms": str(attr.platform)}

# For a rule with an attribute `platform`; if that is empty, `--platforms` holds.
platform_transition = transition(
    implementation = _impl,
    inputs = ["//command_line_option:platforms"],
    outputs = ["//command_line_option:platforms"],
)

# What such a rule needs beside it. `platform` is a string: its label must not be configured by the transition itself.
PLATFORM_ATTRS = {
    "platform": attr.string(doc = "The platform to build for, as a label such as `//platforms:arm64`; defaults to `--platforms`."),
    "_allowlist_function_transition": attr.label(default = "@bazel_tools//tools/allowlists/function_transition_allowlist"),
}

def platform_label(platform):
    """The canonical form of the label that a macro's caller gave, as the attribute wants it."""
    return str(native.package_relative_label(platform)) if platform else ""
