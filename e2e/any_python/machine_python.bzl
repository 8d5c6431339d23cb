"""machine_python: a Python that the workspace has, of a version that Chassis does not bring; a team has rules_python's toolchain here."""

_VERSION = "3.12"

_BUILD = """\
package(default_visibility = ["//visibility:public"])

exports_files(["python"])

# What the base is made of.
filegroup(
    name = "installation",
    srcs = ["prefix"],
)
"""

def _impl(rctx):
    python = rctx.os.environ.get("CHASSIS_E2E_PYTHON312")
    if not python:
        fail("CHASSIS_E2E_PYTHON312 names no Python %s of this machine" % _VERSION)
    program = rctx.path(python).realpath
    rctx.symlink(program, "python")
    rctx.symlink(program.dirname.dirname, "prefix")
    rctx.file("BUILD.bazel", _BUILD)

_machine_python = repository_rule(
    implementation = _impl,
    environ = ["CHASSIS_E2E_PYTHON312"],
    doc = "The installation around the program that the environment names.",
)

def _extension_impl(_mctx):
    _machine_python(name = "python312")

machine_python = module_extension(
    implementation = _extension_impl,
    doc = "`@python312`: the Python 3.12 that `CHASSIS_E2E_PYTHON312` names; fetched when a target asks for it.",
)
