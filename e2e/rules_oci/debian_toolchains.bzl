"""debian_toolchains: rules_oci's toolchains, of programs from Debian's packages.

Register them with `--extra_toolchains=@debian_toolchains//:all` if the releases that rules_oci downloads cannot be
reached. The programs run where their packages were unpacked, so this is for builds on the machine itself.
"""

_PROGRAMS = {
    "bsdtar": Label("@neighbour_tools//:bsdtar"),
    "copy_to_directory": Label("@neighbour_tools//:copy_to_directory"),
    "crane": Label("@neighbour_tools//:crane"),
    "jq": Label("@neighbour_tools//:jq"),
    "oras": Label("@neighbour_tools//:oras"),
    "zstd": Label("@neighbour_tools//:zstd"),
}

# A toolchain hands an action one file; the launcher of an unpacked package needs the rest of it beside itself.
_WRAPPER = """\
#!/bin/sh
exec %s "$@"
"""

# One program with many names is what rules_oci calls; Debian has many programs.
_COREUTILS = """\
#!/bin/sh
PATH=/usr/bin:/bin
export PATH
exec "$@"
"""

_BUILD = """\
load("@aspect_bazel_lib//lib/private:jq_toolchain.bzl", "jq_toolchain")
load("@bazel_lib//lib/private:copy_to_directory_toolchain.bzl", "copy_to_directory_toolchain")
load("@bazel_lib//lib/private:coreutils_toolchain.bzl", "coreutils_toolchain")
load("@aspect_bazel_lib//lib/private:zstd_toolchain.bzl", "zstd_toolchain")
load("@rules_oci//oci:toolchain.bzl", "crane_toolchain", "regctl_toolchain")
load("@tar.bzl//tar/toolchain:toolchain.bzl", "tar_toolchain")

crane_toolchain(
    name = "crane",
    crane = "bin/crane",
    version = "v0.20.7",
)

regctl_toolchain(
    name = "regctl",
    regctl = "bin/regctl",
)

jq_toolchain(
    name = "jq",
    bin = "bin/jq",
)

coreutils_toolchain(
    name = "coreutils",
    binary = "bin/coreutils",
)

zstd_toolchain(
    name = "zstd",
    binary = "bin/zstd",
)

tar_toolchain(
    name = "tar",
    binary = "bin/bsdtar",
)

copy_to_directory_toolchain(
    name = "copy_to_directory",
    bin = "bin/copy_to_directory",
)

[
    toolchain(
        name = name + "_toolchain",
        exec_compatible_with = [
            "@platforms//cpu:x86_64",
            "@platforms//os:linux",
        ],
        toolchain = ":" + implementation,
        toolchain_type = type,
    )
    for name, implementation, type in [
        ("crane", "crane", "@rules_oci//oci:crane_toolchain_type"),
        ("regctl", "regctl", "@rules_oci//oci:regctl_toolchain_type"),
        ("jq", "jq", "@aspect_bazel_lib//lib:jq_toolchain_type"),
        ("coreutils", "coreutils", "@aspect_bazel_lib//lib:coreutils_toolchain_type"),
        ("zstd", "zstd", "@aspect_bazel_lib//lib:zstd_toolchain_type"),
        ("tar", "tar", "@tar.bzl//tar/toolchain:type"),
        ("tar_target", "tar", "@tar.bzl//tar/toolchain:target_type"),
        ("copy_to_directory", "copy_to_directory", "@bazel_lib//lib:copy_to_directory_toolchain_type"),
    ]
]
"""

def _repository_impl(rctx):
    for name, label in _PROGRAMS.items():
        rctx.file("bin/" + name, _WRAPPER % rctx.path(label), executable = True)
    rctx.file("bin/coreutils", _COREUTILS, executable = True)
    rctx.template(
        "bin/regctl",
        rctx.attr._regctl,
        {"{jq}": str(rctx.path(_PROGRAMS["jq"])), "{oras}": str(rctx.path(_PROGRAMS["oras"]))},
        executable = True,
    )
    rctx.file("BUILD.bazel", _BUILD)

_repository = repository_rule(
    implementation = _repository_impl,
    attrs = {"_regctl": attr.label(default = "//:regctl.sh")},
    doc = "Toolchains of wrappers around the unpacked programs.",
)

def _impl(_mctx):
    _repository(name = "debian_toolchains")

debian_toolchains = module_extension(implementation = _impl, doc = "`@debian_toolchains//:all`.")
