"""What actions start is for the CPU of the machine that runs them, whatever machine Bazel runs on and whatever it builds for."""

load("@bazel_skylib//lib:unittest.bzl", "analysistest", "asserts")

# Parts of the names of repositories and files that hold programs of a CPU.
_MARKS = {
    "amd64": ["linux_amd64", "_amd64/", "~chassis_python/", "~chassis_emulator/", "+chassis_python/", "+chassis_emulator/"],
    "arm64": ["linux_arm64", "_arm64/", "aarch64-linux-gnu"],
}

# The wheel that unpacks the others is pure Python, and imported as it is.
_ANY_CPU = "__installer__whl/"

_RunFilesInfo = provider("What tools are, with all that they read.", fields = {"files": "depset of File."})

def _tool_files_impl(ctx):
    return [_RunFilesInfo(files = depset(transitive = [
        depset(transitive = [tool[DefaultInfo].files, tool[DefaultInfo].default_runfiles.files])
        for tool in ctx.attr.tools
    ]))]

_tool_files = rule(
    implementation = _tool_files_impl,
    attrs = {"tools": attr.label_list(allow_files = True, cfg = "exec")},
    doc = "The files of tools as an action would have them.",
)

def _is_of(path, architecture):
    return _ANY_CPU not in path and any([mark in path for mark in _MARKS[architecture]])

def _impl(ctx):
    env = analysistest.begin(ctx)
    paths = [file.path for file in analysistest.target_under_test(env)[_RunFilesInfo].files.to_list()]
    other = [architecture for architecture in _MARKS if architecture != ctx.attr.architecture][0]
    asserts.equals(env, [], [path for path in paths if _is_of(path, other)])
    for part in ctx.attr.parts:
        asserts.true(
            env,
            [path for path in paths if part in path and _is_of(path, ctx.attr.architecture)],
            "nothing of %s for %s" % (part, ctx.attr.architecture),
        )
    return analysistest.end(env)

_ATTRS = {
    "architecture": attr.string(mandatory = True, doc = "That of the build machine."),
    "parts": attr.string_list(doc = "What there must be something of."),
}

def _on(architecture):
    platform = str(Label("//platforms:" + architecture))
    return {
        "//command_line_option:extra_execution_platforms": [platform],
        "//command_line_option:host_platform": platform,
        # Images for the other CPU, which is not to matter.
        "//command_line_option:platforms": str(Label("//platforms:" + {"amd64": "arm64", "arm64": "amd64"}[architecture])),
    }

_on_amd64_test = analysistest.make(_impl, attrs = _ATTRS, config_settings = _on("amd64"))
_on_arm64_test = analysistest.make(_impl, attrs = _ATTRS, config_settings = _on("arm64"))

def build_machines_tests(name):
    """Tests of the tools, the image's Python and the emulator on both kinds of build machines.

    Args:
      name: the suite's name.
    """
    _tool_files(
        name = name + "_tools",
        tags = ["manual"],  # What the tests below look at; by itself it is nothing to build.
        tools = [
            "//base_images:image_python",
            "//chassis/tools:image_layout",
            "//chassis/tools:pickle_model",
            "//chassis/tools:wheel_layer",
            "//platforms/build_machine:bwrap",
            "//platforms/build_machine:emulator_files",
            "@chassis_tools//isal",
        ],
    )
    for architecture, test in [("amd64", _on_amd64_test), ("arm64", _on_arm64_test)]:
        test(
            name = "%s_%s" % (name, architecture),
            architecture = architecture,
            parts = [
                "chassis_emulator",
                "chassis_python",
                "chassis_python_trixie",
                "__cloudpickle__whl",
                "__isal__whl",
            ],
            target_under_test = name + "_tools",
        )
    native.test_suite(
        name = name,
        tests = [name + "_amd64", name + "_arm64"],
    )
