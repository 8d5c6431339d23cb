"""What `deps` of a model may be, and what is said of the rest."""

load("@rules_python//python:py_info.bzl", "PyInfo")

# Rules of rules_py whose targets stand for a wheel: a directory that only rules_py's own rules put into an image.
_WHEELS_OF_RULES_PY = ["py_unpacked_wheel", "whl_install"]

def is_wheel_of_rules_py(kind):
    """Whether a target is a wheel of a hub of rules_py, by the name of its rule."""
    return kind in _WHEELS_OF_RULES_PY

def check_python_dependencies(label, deps, refused):
    """Fails if a model needs a wheel of a hub of rules_py, or what rules_python does not call a library.

    Args:
      label: the model's.
      deps: list of Target.
      refused: depset of the labels, as text, of wheels of rules_py's hubs that it needs.
    """

    # First, since such a wheel has no PyInfo of rules_python whatever the flag says.
    for wheel in refused.to_list():
        fail(("\n%s needs %s, a wheel of a hub of rules_py, which images cannot have a layer of\n" +
              "Name the same lock in a hub of Chassis, wheels.hub(name = \"pypi\", lock = \"//:uv.lock\"), and depend on its target.") %
             (label, wheel))
    for dep in deps:
        if PyInfo not in dep:
            fail(("\n%s: deps: %s has no PyInfo of rules_python: it is not a Python library, or one of rules_py's\n" +
                  "Give a py_library of rules_python; of rules_py, build with --@aspect_rules_py//py:emit_rules_python_providers.") %
                 (label, dep.label))
