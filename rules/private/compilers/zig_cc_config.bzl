"""zig_cc_config: tells Bazel's C++ rules how to call //platforms/zig:cc."""

load("@rules_cc//cc:action_names.bzl", "ACTION_NAMES", "ALL_CC_COMPILE_ACTION_NAMES", "ALL_CC_LINK_ACTION_NAMES")
load(
    "@rules_cc//cc:cc_toolchain_config_lib.bzl",
    "env_entry",
    "env_set",
    "feature",
    "flag_group",
    "flag_set",
    "tool_path",
    "with_feature_set",
)
load("@rules_cc//cc/common:cc_common.bzl", "cc_common")
load("@rules_cc//cc/toolchains:cc_toolchain_config_info.bzl", "CcToolchainConfigInfo")
load("//rules/providers:compiler_info.bzl", "CompilerInfo")

_DOC = """The configuration of a `cc_toolchain` around a `zig_runtime`."""

_ATTRS = {
    "runtime": attr.label(mandatory = True, providers = [CompilerInfo], cfg = "exec", doc = "The `zig_runtime`."),
}

_CPUS = {
    "amd64": "k8",
    "arm64": "aarch64",
}

# Bazel's names of the tools, to those beside the toolchain.
_TOOLS = {
    "ar": "ar",
    "cpp": "cc",
    "gcc": "cc",
    "gcov": "absent",
    "ld": "ld.lld",
    "nm": "absent",
    "objcopy": "absent",
    "objdump": "absent",
    "strip": "absent",
}

def _flags(actions, flags, mode = None):
    return flag_set(
        actions = actions,
        flag_groups = [flag_group(flags = flags)],
        with_features = [with_feature_set(features = [mode])] if mode else [],
    )

def _features(compiler):
    every_action = ALL_CC_COMPILE_ACTION_NAMES + ALL_CC_LINK_ACTION_NAMES + [
        ACTION_NAMES.cpp_link_static_library,
        ACTION_NAMES.strip,
    ]
    compile = ALL_CC_COMPILE_ACTION_NAMES
    return [
        feature(name = "opt"),
        feature(name = "dbg"),
        feature(name = "fastbuild"),
        feature(name = "supports_pic", enabled = True),
        feature(name = "supports_dynamic_linker", enabled = True),
        feature(
            name = "zig",
            enabled = True,
            env_sets = [env_set(
                actions = every_action,
                env_entries = [
                    env_entry(key = "ZIG_ROOT", value = compiler.root.path),
                    env_entry(key = "ZIG_RUNTIME", value = compiler.runtime.path),
                ],
            )],
        ),
        feature(
            name = "default_flags",
            enabled = True,
            flag_sets = [
                _flags(compile, ["-fstack-protector-strong", "-Wall", "-fno-omit-frame-pointer"]),
                _flags(compile, ["-O2", "-DNDEBUG", "-g0", "-ffunction-sections", "-fdata-sections"], "opt"),
                _flags(compile, ["-g"], "dbg"),
                _flags(ALL_CC_LINK_ACTION_NAMES, ["-Wl,-z,relro,-z,now"]),
            ],
        ),
        # The same bytes wherever the sandbox is.
        feature(
            name = "deterministic_flags",
            enabled = True,
            flag_sets = [_flags(compile, [
                "-Wno-builtin-macro-redefined",
                "-D__DATE__=\"redacted\"",
                "-D__TIMESTAMP__=\"redacted\"",
                "-D__TIME__=\"redacted\"",
                "-ffile-compilation-dir=.",
            ])],
        ),
    ]

def _impl(ctx):
    compiler = ctx.attr.runtime[CompilerInfo]
    return cc_common.create_cc_toolchain_config_info(
        ctx = ctx,
        abi_libc_version = "glibc_" + compiler.glibc,
        abi_version = "gnu",
        compiler = "clang",
        cxx_builtin_include_directories = ["%workspace%/" + compiler.root.path + "/lib"],
        features = _features(compiler),
        target_cpu = _CPUS[compiler.architecture],
        target_libc = "glibc_" + compiler.glibc,
        target_system_name = "linux-" + compiler.architecture,
        tool_paths = [tool_path(name = name, path = path) for name, path in _TOOLS.items()],
        toolchain_identifier = "zig-%s-glibc-%s" % (compiler.architecture, compiler.glibc),
    )

zig_cc_config = rule(
    implementation = _impl,
    attrs = _ATTRS,
    doc = _DOC,
    provides = [CcToolchainConfigInfo],
)
