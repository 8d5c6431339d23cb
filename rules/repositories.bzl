"""Repositories for WORKSPACE mode: the twins of the module extensions."""

load("//rules/private/debian:debian_repository.bzl", _debian_packages = "debian_packages", _debian_root = "debian_root")
load("//rules/private/registry:oci_pull.bzl", _oci_pull = "oci_pull")
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
    Label("//requirements:linux_arm64.txt"): "linux_arm64",
    Label("//requirements:linux_arm64_gpu.txt"): "linux_arm64_gpu",
}

# What zig brings for targets that are none of ours, a third of its files. MODULE.bazel says the same.
ZIG_UNUSED = [
    "lib/libc/include/any-darwin-any",
    "lib/libc/include/any-windows-any",
    "lib/libc/include/generic-freebsd",
    "lib/libc/include/generic-netbsd",
    "lib/libc/include/generic-openbsd",
    "lib/libc/mingw",
    "lib/libc/musl",
]

def chassis_repositories():
    """What Chassis itself needs: call it, then `wheel_hub()` of `@chassis_pypi_locks` and of `@chassis_tools_locks`.

    For wheels built from source, also of `@chassis_build_locks` and `@chassis_compilers_locks`.
    """
    for architecture in ["amd64", "arm64"]:
        debian_root(
            name = "chassis_python_headers_" + architecture,
            lock = Label("//platforms/zig:python_headers_%s.lock" % architecture),
        )
    debian_packages(name = "chassis_bookworm_amd64", lock = Label("//base_images:bookworm_amd64.lock"))
    debian_packages(name = "chassis_bookworm_arm64", lock = Label("//base_images:bookworm_arm64.lock"))
    debian_root(
        name = "chassis_python",
        lock = Label("//platforms:python_amd64.lock"),
        programs = {"python": "usr/bin/python3.11"},
        pythonhome = "usr",
    )
    debian_root(name = "chassis_python_arm64", lock = Label("//base_images:bookworm_arm64.lock"))
    debian_root(
        name = "chassis_emulator",
        lock = Label("//platforms:emulator_amd64.lock"),
        programs = {
            "bwrap": "usr/bin/bwrap",
            "proot": "usr/bin/proot",
        },
        static_programs = {
            "qemu-aarch64": "usr/bin/qemu-aarch64-static",
            "qemu-x86_64": "usr/bin/qemu-x86_64-static",
        },
    )
    wheel_locks(name = "chassis_pypi_locks", hub = "chassis_pypi", locks = CHASSIS_LOCKS)
    wheel_locks(
        name = "chassis_tools_locks",
        hub = "chassis_tools",
        locks = {Label("//requirements:tools.txt"): "linux_amd64"},
    )
    wheel_locks(
        name = "chassis_build_locks",
        hub = "chassis_build",
        locks = {Label("//requirements:build.txt"): "linux_amd64"},
    )
    wheel_locks(
        name = "chassis_compilers_locks",
        hub = "chassis_compilers",
        locks = {Label("//requirements:zig.txt"): "linux_amd64"},
    )
    _wheel_root(
        name = "chassis_zig",
        distribution = "ziglang",
        hub = "chassis_compilers",
        own_name = "chassis_zig",
        platform = "linux_amd64",
        remove = ZIG_UNUSED,
        strip_prefix = "ziglang",
    )
