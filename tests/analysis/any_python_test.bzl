"""The Python of an image reaches what the image is made of, rules_python's flag included, and nothing that the build is made of."""

load("@bazel_skylib//lib:unittest.bzl", "analysistest", "asserts")
load("@chassis_neighbours//:neighbours.bzl", "RULES_PYTHON_VERSION_FLAG")
load("@rules_python//python:py_info.bzl", "PyInfo")
load("//rules/private/python:python_transition.bzl", "TRANSITION_ATTRS", "python_transition")

def _has_sources_impl(ctx):
    env = analysistest.begin(ctx)
    asserts.true(env, len(analysistest.target_under_test(env)[PyInfo].transitive_sources.to_list()) > 0)
    return analysistest.end(env)

_FLAG = str(Label("//rules:python"))

_python314_test = analysistest.make(_has_sources_impl, config_settings = {_FLAG: "3.14"})

# Of which Chassis brings nothing.
_python312_test = analysistest.make(_has_sources_impl, config_settings = {_FLAG: "3.12"})

def _is_a_wheel_impl(ctx):
    env = analysistest.begin(ctx)
    files = analysistest.target_under_test(env)[DefaultInfo].files.to_list()
    asserts.equals(env, ["whl"], [file.extension for file in files])
    return analysistest.end(env)

# What is pure Python needs nothing of the target's CPU, nor of the image's Python.
_arm64_wheel_test = analysistest.make(_is_a_wheel_impl, config_settings = {
    _FLAG: "3.14",
    "//command_line_option:platforms": str(Label("//platforms:arm64")),
})

_SawInfo = provider("What a select on rules_python's flag chose.", fields = {"version": "string."})

_select_of_rules_python = rule(
    implementation = lambda ctx: [_SawInfo(version = ctx.attr.version)],
    attrs = TRANSITION_ATTRS | {
        "python": attr.string(),
        "version": attr.string(),
    },
    cfg = python_transition,
    doc = "What a library or a hub of rules_python sees below an image with an attribute `python`.",
)

def _saw_impl(ctx):
    env = analysistest.begin(ctx)
    asserts.equals(env, ctx.attr.version, analysistest.target_under_test(env)[_SawInfo].version)
    return analysistest.end(env)

_saw_test = analysistest.make(_saw_impl, attrs = {"version": attr.string()})

def any_python_tests(name):
    """Tests of a library that imports the tools' own wheels, in builds for other Pythons.

    Args:
      name: the suite's name.
    """
    _python314_test(name = name + "_314", target_under_test = "//chassis/packed_model")
    _python312_test(name = name + "_312", target_under_test = "//chassis/packed_model")

    _arm64_wheel_test(name = name + "_wheel", target_under_test = "//chassis:wheel")

    # A rules_python before 0.24 has no such flag.
    versions = ["3.11", "3.13"] if RULES_PYTHON_VERSION_FLAG else []
    for version in versions:
        native.config_setting(
            name = "rules_python_has_" + version,
            flag_values = {RULES_PYTHON_VERSION_FLAG: version},
        )
        _select_of_rules_python(
            name = "select_in_" + version,
            python = version,
            tags = ["manual"],
            version = select({":rules_python_has_" + other: other for other in versions} | {"//conditions:default": "another"}),
        )
        _saw_test(
            name = "%s_rules_python_%s" % (name, version),
            target_under_test = ":select_in_" + version,
            version = version,
        )
    native.test_suite(
        name = name,
        tests = [name + "_314", name + "_312", name + "_wheel"] + ["%s_rules_python_%s" % (name, version) for version in versions],
    )
