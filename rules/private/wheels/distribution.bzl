"""distribution: a wheel with every wheel that its metadata asks for."""

load("@rules_python//python:py_info.bzl", "PyInfo")
load("//rules/providers:wheel_info.bzl", "DistributionInfo")

_DOC = """What `@pypi//name` is: usable in `deps` of a `chassis_model` and of a `py_library` alike.

The list is a closure, not a graph: distributions that need each other are not a cycle of targets.
"""

_ATTRS = {
    "wheels": attr.label_list(mandatory = True, providers = [DistributionInfo, PyInfo], doc = "The closure."),
}

def _impl(ctx):
    sources = depset(transitive = [wheel[PyInfo].transitive_sources for wheel in ctx.attr.wheels])
    return [
        DefaultInfo(
            files = depset(transitive = [wheel[DefaultInfo].files for wheel in ctx.attr.wheels]),
            runfiles = ctx.runfiles(transitive_files = sources),
        ),
        DistributionInfo(wheels = depset(transitive = [wheel[DistributionInfo].wheels for wheel in ctx.attr.wheels])),
        OutputGroupInfo(
            build_site_packages = depset(transitive = [wheel[OutputGroupInfo].build_site_packages for wheel in ctx.attr.wheels]),
            site_packages = sources,
        ),
        PyInfo(
            imports = depset(transitive = [wheel[PyInfo].imports for wheel in ctx.attr.wheels]),
            transitive_sources = sources,
        ),
    ]

distribution = rule(
    implementation = _impl,
    attrs = _ATTRS,
    doc = _DOC,
    provides = [DistributionInfo, PyInfo],
)
