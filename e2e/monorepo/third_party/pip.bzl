"""rules_python's hub of a requirements file, as its `pip.parse` makes it, for each of its releases.

A team writes `pip.parse(…)` of rules_python's own extension in MODULE.bazel. Its first attribute is `name` in some releases
and `hub_name` in others, and this workspace loads with both. The wheels are rules_python's `whl_library`; the hub has the
aliases that its own has.
"""

load("@rules_python//python/pip_install:pip_repository.bzl", "whl_library")

_LOCK = Label("//third_party:requirements.txt")

_ALIASES = """\
package(default_visibility = ["//visibility:public"])

alias(
    name = {name},
    actual = "@pip_{name}//:pkg",
)

alias(
    name = "pkg",
    actual = "@pip_{name}//:pkg",
)

alias(
    name = "whl",
    actual = "@pip_{name}//:whl",
)
"""

def _requirements(text):
    """Name to requirement with its hashes, of a lock that `uv pip compile --generate-hashes` wrote."""
    found = {}
    for line in text.replace("\\\n", " ").split("\n"):
        line = line.partition(" #")[0].strip()
        if line and not line.startswith("#"):
            found[line.partition("==")[0].partition("[")[0].replace("-", "_").replace(".", "_").lower()] = line
    return found

def _hub_impl(rctx):
    for name in rctx.attr.names:
        rctx.file(name + "/BUILD.bazel", _ALIASES.replace("name = {name}", "name = %r" % name).replace("{name}", name))
    rctx.file("BUILD.bazel", "")
    rctx.file("requirements.bzl", "all_whl_requirements = %s\n" % ["@@%s//%s:whl" % (rctx.name, name) for name in rctx.attr.names])

_hub = repository_rule(implementation = _hub_impl, attrs = {"names": attr.string_list()})

def _pip_impl(mctx):
    requirements = _requirements(mctx.read(_LOCK))
    for name, requirement in requirements.items():
        whl_library(
            name = "pip_" + name,
            isolated = False,
            python_interpreter_target = Label("@chassis_python//:python"),
            repo = "pip",
            repo_prefix = "pip_",
            requirement = requirement,
        )
    _hub(name = "pip", names = sorted(requirements))

pip = module_extension(implementation = _pip_impl)
