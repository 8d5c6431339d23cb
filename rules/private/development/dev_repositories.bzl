"""dev_repositories: what this repository's own model, examples, tests and benchmarks need, and no user of Chassis does.

MODULE.bazel asks for it with `dev_dependency = True`, WORKSPACE calls `dev_repositories()` and `dev_hubs()`.
"""

load("//rules:repositories.bzl", "CHASSIS_LOCKS")
load("//rules/private/checks:npm_package.bzl", "npm_package")
load("//rules/private/debian:debian_repository.bzl", "debian_root")
load("//rules/private/declaration:declared.bzl", "TOOLS_PYTHON")
load("//rules/private/locks:lock_source.bzl", "lock_source")
load("//rules/private/locks:lock_target.bzl", "lock_variant")
load("//rules/private/wheels:hub_attrs.bzl", "hub_locks", "hub_options")
load("//rules/private/wheels:wheel_sets.bzl", "wheel_sets")
load("//rules/private/wheels:wheel_workspace.bzl", "wheel_locks")

# Hub to what it is told: attributes of `wheels.hub`.
_HUBS = {
    "checked_wheels": {
        "locks": {Label("//tests/interop/wheels:wheels_arm64.txt"): lock_variant("linux_arm64", TOOLS_PYTHON)},
    },
    "compressors": {
        "locks": {Label("//tests/compression:compressors_arm64.txt"): lock_variant("linux_arm64", TOOLS_PYTHON)},
    },
    "emulated_build": {
        "locks": {Label("//benchmarks:emulated_arm64.txt"): lock_variant("linux_arm64", TOOLS_PYTHON)},
    },
    "frameworks": {
        "lock": Label("//requirements:frameworks.txt"),
        # What MLflow needs to track runs, and no image to serve a model.
        "without": {"mlflow_skinny": ["gitpython", "python-dotenv", "uvicorn"]},
    },
    "fuzzing": {
        "any_python": True,
        "locks": {Label("//requirements:fuzzing.txt"): lock_variant("linux_amd64", TOOLS_PYTHON)},
    },
    "kserve_client": {
        "any_python": True,
        "locks": {Label("//tests/clients:kserve.txt"): lock_variant("linux_amd64", TOOLS_PYTHON)},
    },
    "old_wheels": {
        "locks": {Label("//tests/old_wheels:old.txt"): "linux_amd64"},
    },
    "omi_client": {
        "any_python": True,
        "locks": {Label("//tests/clients:omi.txt"): lock_variant("linux_amd64", TOOLS_PYTHON)},
    },
    "perf_analyzer": {
        "locks": {Label("//tests/perf_analyzer:perf_analyzer.txt"): "linux_amd64_py311"},
    },
    "pictures": {
        "locks": {Label("//examples/image_classification:pictures.txt"): "linux_amd64"},
    },
    "popular": {
        "locks": {
            Label("//tests/doctor/popular_wheels:linux_amd64.txt"): "linux_amd64",
            Label("//tests/doctor/popular_wheels:linux_arm64.txt"): "linux_arm64",
        },
    },
    "pypi": {"locks": CHASSIS_LOCKS},
    "remote_engine": {
        "any_python": True,
        "locks": {Label("//tests/remote_engine:engine.txt"): lock_variant("linux_amd64", TOOLS_PYTHON)},
    },
    "sdists": {
        "build_requires": {"annoy": ["nose"]},
        "cross_build": [
            "annoy",
            "crcmod",
            "cytoolz",
        ],
        "locks": {
            Label("//tests/cross_wheels:sdists_amd64.txt"): "linux_amd64",
            Label("//tests/cross_wheels:sdists_arm64.txt"): "linux_arm64",
        },
    },
    "torch": {
        "locks": {
            Label("//tests/frameworks/torch:linux_amd64_py311.txt"): "linux_amd64_py311",
            Label("//tests/frameworks/torch:linux_arm64_py311.txt"): "linux_arm64_py311",
        },
    },
}

# What MODULE.bazel makes by `wheels`, as a team does: models are passed over where such a hub has no lock.
_HUBS_IN_A_WORKSPACE = {
    "classification": {
        "locks": {
            Label("//examples/image_classification:linux_arm64.txt"): "linux_arm64",
            Label("//examples/image_classification:linux_arm64_gpu.txt"): "linux_arm64_gpu",
        },
    },
}

# Repository to what it is told: attributes of `debian.root`.
_DEBIAN_ROOTS = {
    "chassis_archivers": {
        "lock": Label("//benchmarks:archivers_amd64.lock"),
        "programs": {
            "bsdtar": "usr/bin/bsdtar",
            "igzip": "usr/bin/igzip",
            "pigz": "usr/bin/pigz",
            "tar": "bin/tar",
            "zstd": "usr/bin/zstd",
        },
    },
    "chassis_clients": {
        "lock": Label("//tests/clients:tools_amd64.lock"),
        "moving_lock": Label("//tests/clients:java_amd64.lock"),
        "programs": {
            "ab": "usr/bin/ab",
            "curl": "usr/bin/curl",
            "hey": "usr/bin/hey",
            "java": "usr/lib/jvm/java-17-openjdk-amd64/bin/java",
            "nginx": "usr/sbin/nginx",
        },
    },
    "chassis_gcc_arm64": {
        "lock": Label("//benchmarks:gcc_arm64.lock"),
    },
    "chassis_ldconfig": {
        "lock": Label("//tests:ldconfig_amd64.lock"),
        "static_programs": {"ldconfig": "sbin/ldconfig"},
    },
    "chassis_newer_tools": {
        "lock": Label("//tests:neighbour_tools_amd64.lock"),
        "moving_lock": Label("//tests:newer_tools_amd64.lock"),
        "programs": {
            "cosign": "usr/bin/cosign",
            "crane": "usr/bin/crane",
            "docker-registry": "usr/bin/docker-registry",
            "oras": "usr/bin/oras",
        },
    },
    "chassis_perf_analyzer": {
        "lock": Label("//tests/perf_analyzer:libraries_amd64.lock"),
        "static_programs": {"libb64.so.0d": "usr/lib/x86_64-linux-gnu/libb64.so.0d"},
    },
    "chassis_remote_database": {
        "lock": Label("//tests/remote_engine:postgresql_amd64.lock"),
    },
    "chassis_remote_worker": {
        "lock": Label("//tests/remote_engine:buildbox_amd64.lock"),
        "programs": {
            "buildbox-casd": "usr/bin/buildbox-casd",
            "buildbox-run-hosttools": "usr/bin/buildbox-run-hosttools",
            "buildbox-worker": "usr/bin/buildbox-worker",
        },
    },
    "chassis_test_browser": {
        "lock": Label("//tests:browser_amd64.lock"),
    },
    "chassis_test_go": {
        "lock": Label("//tests:go_amd64.lock"),
        "programs": {"go": "usr/lib/go-1.19/bin/go"},
    },
    "chassis_test_tools": {
        "lock": Label("//tests:debian_tools_amd64.lock"),
        "programs": {
            "docker-registry": "usr/bin/docker-registry",
            "skopeo": "usr/bin/skopeo",
            "umoci": "usr/bin/umoci",
        },
    },
    "chassis_wrk": {
        "lock": Label("//benchmarks:wrk_amd64.lock"),
        "programs": {"wrk": "usr/bin/wrk"},
    },
}

def _programs():
    """Repositories that are made the same way with bzlmod and in a WORKSPACE."""
    for name, attributes in _DEBIAN_ROOTS.items():
        debian_root(name = name, **attributes)
    npm_package(
        name = "chassis_buildifier",
        lock = Label("//tests:npm.lock"),
        package = "@bazel/buildifier",
        programs = {"buildifier": "buildifier-{platform}"},
    )

def dev_repositories():
    """Makes them in a WORKSPACE, but for the hubs themselves: dev_hubs.bzl loads what this makes."""
    _programs()
    for name, attributes in (_HUBS | _HUBS_IN_A_WORKSPACE).items():
        wheel_locks(name = name + "_locks", hub = name, **attributes)

def _impl(mctx):
    _programs()

    # An extension sees its own repositories alone by their names: the hub with build backends is of `wheels`.
    build_hub = "@@" + Label("@chassis_build//:distributions.json").repo_name
    for name, attributes in _HUBS.items():
        options = hub_options(build_hub = build_hub, **attributes)
        wheel_sets(name, {
            requirements: [(lock_source(mctx, label), platforms) for label, platforms in locks]
            for requirements, locks in hub_locks(options, name).items()
        }, options)

development = module_extension(implementation = _impl)
