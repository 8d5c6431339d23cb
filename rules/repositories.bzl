"""Repositories for WORKSPACE mode: the twins of the module extensions."""

load("//rules/private/debian:debian_pythons.bzl", "debian_pythons")
load("//rules/private/debian:debian_repository.bzl", _debian_packages = "debian_packages", _debian_root = "debian_root")
load("//rules/private/declaration:declared.bzl", "TOOLS_PYTHON")
load("//rules/private/locks:lock_target.bzl", "lock_variant")
load("//rules/private/python:pythons_repository.bzl", "neighbours_repository", "pythons_repository")
load("//rules/private/registry:oci_pull.bzl", _oci_pull = "oci_pull")
load("//rules/private/wheels:hubs_repository.bzl", _HUBS_REPOSITORY = "HUBS_REPOSITORY", _hubs_repository = "hubs_repository")
load("//rules/private/wheels:wheel_root.bzl", _wheel_root = "wheel_root")
load("//rules/private/wheels:wheel_workspace.bzl", _wheel_locks = "wheel_locks")

debian_packages = _debian_packages
debian_root = _debian_root
oci_pull = _oci_pull
wheel_locks = _wheel_locks

# The locks of this repository, for `wheel_locks(locks = …)`.
CHASSIS_LOCKS = {
    Label("//requirements:linux_amd64.txt"): "linux_amd64",
    Label("//requirements:linux_amd64_gpu.txt"): "linux_amd64_gpu",
    Label("//requirements:linux_amd64_gpu_py310.txt"): "linux_amd64_gpu_py310",
    Label("//requirements:linux_amd64_gpu_py312.txt"): "linux_amd64_gpu_py312",
    Label("//requirements:linux_amd64_gpu_py311.txt"): "linux_amd64_gpu_py311",
    Label("//requirements:linux_amd64_gpu_py314.txt"): "linux_amd64_gpu_py314",
    Label("//requirements:linux_amd64_py310.txt"): "linux_amd64_py310",
    Label("//requirements:linux_amd64_py312.txt"): "linux_amd64_py312",
    Label("//requirements:linux_amd64_py311.txt"): "linux_amd64_py311",
    Label("//requirements:linux_amd64_py314.txt"): "linux_amd64_py314",
    Label("//requirements:linux_arm64.txt"): "linux_arm64",
    Label("//requirements:linux_arm64_gpu.txt"): "linux_arm64_gpu",
    Label("//requirements:linux_arm64_gpu_py310.txt"): "linux_arm64_gpu_py310",
    Label("//requirements:linux_arm64_gpu_py312.txt"): "linux_arm64_gpu_py312",
    Label("//requirements:linux_arm64_gpu_py311.txt"): "linux_arm64_gpu_py311",
    Label("//requirements:linux_arm64_gpu_py314.txt"): "linux_arm64_gpu_py314",
    Label("//requirements:linux_arm64_py310.txt"): "linux_arm64_py310",
    Label("//requirements:linux_arm64_py312.txt"): "linux_arm64_py312",
    Label("//requirements:linux_arm64_py311.txt"): "linux_arm64_py311",
    Label("//requirements:linux_arm64_py314.txt"): "linux_arm64_py314",
}

# What of zig compiles for our targets, half of its files. MODULE.bazel says the same.
ZIG_USED = {
    "lib": [
        "c",
        "c.zig",
        "compiler",
        "compiler_rt",
        "compiler_rt.zig",
        "include",
        "libc",
        "libcxx",
        "libcxxabi",
        "libunwind",
        "std",
        "ubsan_rt.zig",
    ],
    "lib/compiler": [
        "test_runner.zig",
        "util.zig",
    ],
    "lib/libc": [
        "glibc",
        "include",
    ],
    "lib/libc/include": [
        "aarch64-linux-any",
        "aarch64-linux-gnu",
        "any-linux-any",
        "generic-glibc",
        "x86-linux-any",
        "x86-linux-gnu",
    ],
}

def chassis_repositories(image_pythons = {}, hubs = []):
    """What Chassis itself needs: call it, then `wheel_hub()` of `@chassis_pypi_locks` and of `@chassis_tools_locks`.

    For wheels built from source, also of `@chassis_build_locks` and `@chassis_compilers_locks`.

    Args:
      image_pythons: version to the `image_python` of the workspace, such as `{"3.12": "@//:python312"}`.
      hubs: the workspace's own hubs, such as `["pypi"]`: `deps` and `requirements` that name what they do not have are then
        errors that say what may have been meant, and targets with `pickle_on = "target"` are passed over where these have no lock.
    """
    _hubs_repository(name = _HUBS_REPOSITORY, read_from = hubs)
    debian_pythons()
    neighbours_repository(name = "chassis_neighbours")
    pythons_repository(name = "chassis_pythons", own = image_pythons)
    for architecture in ["amd64", "arm64"]:
        debian_root(
            name = "chassis_python_headers_" + architecture,
            lock = Label("//platforms/zig:python_headers_%s.lock" % architecture),
        )
    debian_packages(name = "chassis_bookworm_amd64", lock = Label("//base_images:bookworm_amd64.lock"))
    debian_packages(name = "chassis_bookworm_arm64", lock = Label("//base_images:bookworm_arm64.lock"))
    for architecture, suffix in [("amd64", ""), ("arm64", "_arm64")]:
        debian_root(
            name = "chassis_emulator" + suffix,
            lock = Label("//platforms:emulator_%s.lock" % architecture),
            programs = {
                "bwrap": "usr/bin/bwrap",
                "proot": "usr/bin/proot",
            },
            static_programs = {
                "qemu-aarch64": "usr/bin/qemu-aarch64-static",
                "qemu-x86_64": "usr/bin/qemu-x86_64-static",
            },
        )
        _wheel_root(
            name = "chassis_zig" + suffix,
            distribution = "ziglang",
            hub = "chassis_compilers",
            keep = ZIG_USED,
            own_name = "chassis_zig" + suffix,
            platform = lock_variant("linux_" + architecture, TOOLS_PYTHON),
            strip_prefix = "ziglang",
        )
    wheel_locks(name = "chassis_pypi_locks", hub = "chassis_pypi", locks = CHASSIS_LOCKS)
    wheel_locks(
        name = "chassis_tools_locks",
        any_python = True,
        hub = "chassis_tools",
        locks = {
            Label("//requirements:tools.txt"): "linux_amd64_py311",
            Label("//requirements:tools_arm64.txt"): "linux_arm64_py311",
        },
    )
    wheel_locks(
        name = "chassis_build_locks",
        hub = "chassis_build",
        locks = {
            Label("//requirements:build.txt"): "linux_amd64",
            Label("//requirements:build_arm64.txt"): "linux_arm64",
            Label("//requirements:build_arm64_py311.txt"): "linux_arm64_py311",
            Label("//requirements:build_arm64_py314.txt"): "linux_arm64_py314",
            Label("//requirements:build_py311.txt"): "linux_amd64_py311",
            Label("//requirements:build_py314.txt"): "linux_amd64_py314",
        },
    )
    wheel_locks(
        name = "chassis_compilers_locks",
        hub = "chassis_compilers",
        locks = {
            Label("//requirements:zig.txt"): "linux_amd64_py311",
            Label("//requirements:zig_arm64.txt"): "linux_arm64_py311",
        },
    )
