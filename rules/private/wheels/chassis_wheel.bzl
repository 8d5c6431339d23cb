"""chassis_wheel: a wheel for the target platform, built from source on the build machine."""

load("@bazel_skylib//rules:common_settings.bzl", "BuildSettingInfo")
load("@rules_cc//cc/common:cc_info.bzl", "CcInfo")
load("@rules_python//python:py_info.bzl", "PyInfo")
load("//rules/private/declaration:declared.bzl", "MACHINES")
load("//rules/private/platform:target.bzl", "GLIBC_VERSIONS", "target_architecture", "target_glibc")
load("//rules/private/python:image_python.bzl", "interpreter_of", "python_of")
load("//rules/private/tools:names.bzl", "names")
load("//rules/private/tools:root_runfiles.bzl", "path_in_runfiles")
load("//rules/providers:compiler_info.bzl", "CompilerInfo")
load("//rules/providers:image_python_info.bzl", "ImagePythonInfo")
load("//rules/providers:wheel_info.bzl", "DistributionInfo", "WheelInfo")
load(":distribution.bzl", closure = "distribution")
load(":hub_labels.bzl", "check_dependencies")
load(":wheel.bzl", "UNPACK_ATTRS", "wheel_providers")

_DOC = """One wheel built from source: an sdist, or files of the workspace. Use `chassis_wheel` of defs.bzl."""

_ATTRS = UNPACK_ATTRS | {
    "architecture": attr.string(mandatory = True, doc = "The target's, from its platform."),
    "build_deps": attr.label_list(
        providers = [DistributionInfo],
        cfg = "exec",
        doc = "What the build imports and runs: the backend and its plugins, code generators, headers.",
    ),
    "cc_deps": attr.label_list(providers = [CcInfo], doc = "C libraries to compile and link with."),
    "compiler": attr.label(mandatory = True, providers = [CompilerInfo], cfg = "exec", doc = "The target's compiler."),
    "config_settings": attr.string_dict(doc = "Settings for the backend (PEP 517)."),
    "distribution": attr.string(mandatory = True, doc = "The name of the distribution."),
    "env": attr.string_dict(doc = "Environment of the build."),
    "glibc": attr.string(mandatory = True, doc = "The target's, from its platform."),
    "headers": attr.label(mandatory = True, allow_files = True, cfg = "exec", doc = "The target's Python headers."),
    "lock": attr.string(doc = "Where the sdist is pinned: lock and line."),
    "package": attr.string(doc = "The directory of the sources, which their paths are relative to."),
    "runs_in": attr.label(mandatory = True, cfg = "exec", executable = True, doc = "A `root_runfiles` of what it runs in and with."),
    "sdist": attr.label(allow_single_file = [".tar.gz", ".zip", ".tgz"], doc = "The sdist."),
    "srcs": attr.label_list(allow_files = True, doc = "Sources in place of an sdist."),
    "tag": attr.string(doc = "The tag that the wheel must have."),
    "version": attr.string(mandatory = True, doc = "The version."),
    "without": attr.string_list(doc = "Distributions that its metadata requires and the hub leaves out."),
    "_build_wheel": attr.label(default = "//chassis/tools:build_wheel", cfg = "exec", executable = True),
    "_bwrap": attr.label(default = "//platforms/build_machine:bwrap", cfg = "exec", allow_single_file = True),
    "_cc": attr.label(default = "//platforms/zig:cc", cfg = "exec", allow_single_file = True),
    "_confine": attr.label(default = "//rules:confine", providers = [BuildSettingInfo]),
    "_drivers": attr.label(default = "//platforms/zig:drivers", cfg = "exec"),
    "_image_python": attr.label(default = "//base_images:image_python", providers = [ImagePythonInfo]),
    "_hook": attr.label(default = "//chassis/cross:hook.py", allow_single_file = True),
    "_proot": attr.label(default = "//platforms/build_machine:proot", cfg = "exec", allow_single_file = True),
    "_python": attr.label(default = "//platforms/build_machine:python", cfg = "exec", allow_single_file = True),
}

def _wheel_name(ctx):
    """The name of the output, which an action must know beforehand: `tag`, or an extension module's."""
    python = "cp" + python_of(ctx).version.replace(".", "")
    glibc = ctx.attr.glibc.replace(".", "_")
    tag = ctx.attr.tag or "%s-%s-manylinux_%s_%s" % (python, python, glibc, MACHINES[ctx.attr.architecture])
    return "%s-%s-%s.whl" % (ctx.attr.distribution.replace("-", "_"), ctx.attr.version, tag)

def _relative(ctx, file):
    """A source's path from the directory of the sources."""
    path = names.path_in_repository(file)
    prefix = ctx.attr.package + "/" if ctx.attr.package else ""
    if not path.startswith(prefix):
        fail("%s: %s is not below %s, where the sources of this wheel are" % (ctx.label, path, ctx.attr.package))
    return path[len(prefix):]

def _cc_inputs(ctx, args):
    """Include directories and archives of the C libraries; returns the files."""
    files = []
    for dep in ctx.attr.cc_deps:
        context = dep[CcInfo].compilation_context
        directories = depset(transitive = [context.includes, context.quote_includes, context.system_includes])
        args.add_all(directories, format_each = "--include=%s", allow_closure = True)
        files.append(context.headers)
        for linker_input in dep[CcInfo].linking_context.linker_inputs.to_list():
            for library in linker_input.libraries:
                archive = library.pic_static_library or library.static_library
                if archive:
                    args.add(archive, format = "--archive=%s")
                    files.append(depset([archive]))
    return files

def _build(ctx):
    attr = ctx.attr
    wheel = ctx.actions.declare_file(ctx.label.name + "/" + _wheel_name(ctx))
    compiler = attr.compiler[CompilerInfo]
    roots = attr.runs_in[DefaultInfo].files_to_run

    # With bytecode, which the backend would otherwise make of itself in each build anew.
    site_packages = depset(transitive = [dep[OutputGroupInfo].build_site_packages for dep in attr.build_deps])
    args = ctx.actions.args()
    args.use_param_file("--flagfile=%s")
    args.set_param_file_format("multiline")
    args.add("--label=" + (attr.lock and "%s==%s (%s)" % (attr.distribution, attr.version, attr.lock) or names.label_for_people(ctx.label)))
    args.add("--distribution=" + attr.distribution)
    args.add("--version=" + attr.version)
    args.add("--architecture=" + attr.architecture)
    args.add("--glibc=" + attr.glibc)
    args.add("--python_version=" + python_of(ctx).version)
    if attr.tag:
        args.add("--tag=" + attr.tag)
    if ctx.file.sdist:
        args.add(ctx.file.sdist, format = "--sdist=%s")
    for file in ctx.files.srcs:
        args.add("--source=%s=%s" % (_relative(ctx, file), file.path))
    args.add_all(site_packages, format_each = "--site_packages=%s", expand_directories = False)
    args.add_all(["%s=%s" % item for item in attr.env.items()], format_each = "--env=%s")
    args.add_all(["%s=%s" % item for item in attr.config_settings.items()], format_each = "--config_setting=%s")
    args.add("--zig=" + path_in_runfiles(ctx, roots, compiler.root))
    args.add_all([compiler.runtime], format_each = "--runtime=%s", expand_directories = False)
    args.add("--drivers=" + ctx.file._cc.dirname)
    args.add(ctx.file._hook, format = "--hook=%s")
    args.add("--python=" + path_in_runfiles(ctx, roots, ctx.file._python))
    interpreter = interpreter_of(ctx)
    args.add_all(interpreter.args)
    args.add("--headers=" + path_in_runfiles(ctx, roots, ctx.files.headers[0]))
    args.add("--bwrap=" + path_in_runfiles(ctx, roots, ctx.file._bwrap))
    args.add("--proot=" + path_in_runfiles(ctx, roots, ctx.file._proot))
    if attr._confine[BuildSettingInfo].value:
        args.add("--confine")
    args.add(wheel, format = "--output=%s")
    ctx.actions.run(
        executable = ctx.executable._build_wheel,
        arguments = [args],
        inputs = depset(
            ctx.files.srcs + [compiler.runtime, ctx.file._hook] + ([ctx.file.sdist] if ctx.file.sdist else []),
            transitive = _cc_inputs(ctx, args) + [
                ctx.attr._drivers[DefaultInfo].files,
                site_packages,
            ],
        ),
        outputs = [wheel],
        tools = [roots] + interpreter.tools,
        mnemonic = "BuildWheel",
        progress_message = "Building wheel %s %s for %s" % (attr.distribution, attr.version, attr.architecture),
        # Whatever the workspace's own .bazelrc says.
        execution_requirements = {"block-network": "1"},
        toolchain = None,
    )
    return wheel

def _impl(ctx):
    if bool(ctx.file.sdist) == bool(ctx.files.srcs):
        fail("%s: give either `sdist` or `srcs`" % ctx.label)
    lock = ctx.attr.lock or names.label_for_people(ctx.label)
    return wheel_providers(ctx, _build(ctx), ctx.attr.distribution, ctx.attr.version, lock, without = ctx.attr.without)

_wheel_from_source = rule(
    implementation = _impl,
    attrs = _ATTRS,
    doc = _DOC,
    provides = [WheelInfo, DistributionInfo, PyInfo],
)

def wheel_from_source(name, **kwargs):
    """The bare wheel, without what it depends on; takes the attributes of the rule but those of the platform."""
    _wheel_from_source(
        name = name,
        architecture = target_architecture(),
        compiler = select({
            Label("//platforms:is_linux_%s_glibc_%s" % (architecture, glibc)): Label("//platforms/zig:runtime_%s_%s" % (architecture, glibc))
            for architecture in ["amd64", "arm64"]
            for glibc in GLIBC_VERSIONS
        } | {
            Label("//platforms:is_linux_amd64_glibc_unspecified"): Label("//platforms/zig:runtime_amd64_2.28"),
            Label("//platforms:is_linux_arm64_glibc_unspecified"): Label("//platforms/zig:runtime_arm64_2.28"),
        }),
        glibc = target_glibc(),
        headers = select({
            Label("//platforms:is_linux_%s_any" % architecture): Label("//base_images:python_headers_" + architecture)
            for architecture in ["amd64", "arm64"]
        }),
        runs_in = select({
            Label("//platforms:is_linux_%s_any" % architecture): Label("//platforms/zig:wheel_build_" + architecture)
            for architecture in ["amd64", "arm64"]
        }),
        **kwargs
    )

def chassis_wheel(
        name,
        distribution,
        version,
        sdist = None,
        srcs = [],
        build_deps = [],
        cc_deps = [],
        deps = [],
        env = {},
        config_settings = {},
        tag = "",
        tags = [],
        testonly = False,
        visibility = None):
    """A wheel for the target platform, built from source by the build backend that its pyproject.toml names.

    One sandboxed action without network builds it on the build machine, whatever the target: zig's clang compiles, the
    target's own Python headers and `sysconfig` values are what the build sees. Afterwards the wheel is checked: its
    compiled files must be for the target's CPU and glibc and use nothing that is not there. It goes into `deps` of a
    `chassis_model` or a `py_library`, where a program of the build gets the wheel for the build machine.

    Backends that work: setuptools (C, C++, Cython, pybind11), meson-python, scikit-build-core, and those that compile
    nothing. Rust (maturin, setuptools-rust) does not: its crates would have to be fetched while building.

    Example, built by this repository's tests:

    ```starlark
    chassis_wheel(
        name = "histogram",
        srcs = glob(["histogram/**"]) + ["pyproject.toml", "setup.py"],
        build_deps = ["@chassis_build//numpy", "@chassis_build//setuptools"],
        deps = ["@pypi//numpy"],
        distribution = "histogram",
        version = "1.0",
    )
    ```

    Args:
      name: the target's name.
      distribution: the name of the distribution, as its metadata have it.
      version: its version, as its metadata have it.
      sdist: the sdist, `.tar.gz` or `.zip`.
      srcs: sources of this package in place of an sdist, with a `pyproject.toml` or a `setup.py`.
      build_deps: wheels that the build needs, from a hub such as `@chassis_build`: the backend, Cython, NumPy for its headers.
      cc_deps: `cc_library` targets that it compiles and links with, built for the target.
      deps: what the wheel needs at run time.
      env: environment variables of the build, such as a package's own switches.
      config_settings: settings for the backend, such as `{"setup-args": "-Dblas=none"}`.
      tag: the wheel's tag, such as `py3-none-any`, for the output's name; another is an error. Without it the output is
        named for an extension module, whatever the wheel inside says.
      tags: Bazel's.
      testonly: Bazel's.
      visibility: Bazel's.
    """
    check_dependencies("chassis_wheel(name = %r)" % name, deps)
    check_dependencies("chassis_wheel(name = %r)" % name, build_deps)
    wheel_from_source(
        name = name + ".wheel",
        build_deps = build_deps,
        cc_deps = cc_deps,
        config_settings = config_settings,
        distribution = distribution,
        env = env,
        package = native.package_name(),
        sdist = sdist,
        srcs = srcs,
        tag = tag,
        tags = tags + ["manual"],
        testonly = testonly,
        version = version,
        visibility = ["//visibility:private"],
    )
    closure(
        name = name,
        tags = tags,
        testonly = testonly,
        visibility = visibility,
        wheels = [name + ".wheel"] + deps,
    )
