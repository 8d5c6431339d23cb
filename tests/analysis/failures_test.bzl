"""Targets that must fail at analysis, and what their errors must say."""

load("@bazel_skylib//lib:unittest.bzl", "analysistest", "asserts")
load("@rules_python//python:py_info.bzl", "PyInfo")
load("//rules:defs.bzl", "BaseInfo", "LayerInfo", "chassis_image", "chassis_model", "debian_base", "image_python", "model_directory", "oci_push_all")
load("//rules/private/declaration:declared.bzl", "DEFAULT_PYTHON", "TOOLS_PYTHON")
load("//rules/private/wheels:missing_distribution.bzl", "missing_distribution")
load("//rules/providers:model_info.bzl", "ModelInfo")
load("//rules/providers:push_info.bzl", "PushInfo")
load("//rules/providers:server_info.bzl", "ServerInfo")
load("//rules/providers:wheel_info.bzl", "WheelInfo", "WheelLayerInfo")

def _fails_impl(ctx):
    env = analysistest.begin(ctx)
    for text in ctx.attr.says:
        asserts.expect_failure(env, text)
    return analysistest.end(env)

_arm64_failure_test = analysistest.make(
    _fails_impl,
    attrs = {"says": attr.string_list(doc = "What the error holds.")},
    config_settings = {"//command_line_option:platforms": str(Label("//platforms:arm64"))},
    expect_failure = True,
)

_python310_test = analysistest.make(
    _fails_impl,
    attrs = {"says": attr.string_list(doc = "What the error holds.")},
    config_settings = {"//command_line_option:platforms": str(Label("//tests/analysis:arm64_python310"))},
    expect_failure = True,
)

_mixed_platform_test = analysistest.make(
    _fails_impl,
    attrs = {"says": attr.string_list(doc = "What the error holds.")},
    config_settings = {"//command_line_option:platforms": str(Label("//tests/analysis:arm64_with_an_amd64_cpu"))},
    expect_failure = True,
)

_chunks_in_zstd_test = analysistest.make(
    _fails_impl,
    attrs = {"says": attr.string_list(doc = "What the error holds.")},
    config_settings = {
        str(Label("//rules:chunk_size")): 4194304,
        str(Label("//rules:compression")): "zstd",
    },
    expect_failure = True,
)

def _layer(ctx, name):
    files = [ctx.actions.declare_file("%s.%s.%s" % (ctx.label.name, name, kind)) for kind in ["blob", "descriptor", "files"]]
    for file in files:
        ctx.actions.write(file, "")
    return LayerInfo(blob = files[0], descriptor = files[1], files = files[2], origin = name)

def _fake_push_impl(ctx):
    plan = ctx.actions.declare_file(ctx.label.name + ".plan.json")
    ctx.actions.write(plan, "{}")
    return PushInfo(files = depset(), keyless = True, layers = depset(), plan = plan)

_fake_push = rule(implementation = _fake_push_impl)

def _fake_model_impl(ctx):
    wheels = []
    for number, name in enumerate(ctx.attr.wheels):
        file = ctx.actions.declare_file("%s/%s" % (ctx.label.name, name))
        ctx.actions.write(file, "")
        distribution, version = name.split("-")[:2]
        wheels.append(WheelLayerInfo(
            layer = _layer(ctx, str(number)),
            wheel = WheelInfo(
                distribution = distribution,
                lock = "lock %d" % number,
                site_packages = file,
                version = version,
                wheel = file,
            ),
        ))
    return [ModelInfo(
        imports = [""],
        layers = [_layer(ctx, "model")],
        name = ctx.label.name,
        python_version = ctx.attr.python_version,
        version = "1",
        wheels = depset(wheels),
    )]

_fake_model = rule(
    implementation = _fake_model_impl,
    attrs = {
        "python_version": attr.string(default = DEFAULT_PYTHON),
        "wheels": attr.string_list(doc = "File names."),
    },
    doc = "A model as a rule of somebody else's might give it.",
)

def _fake_base_impl(ctx):
    return [BaseInfo(
        architecture = ctx.attr.architecture,
        env = {},
        layers = [_layer(ctx, "base%d" % number) for number in range(ctx.attr.layers)],
        python_version = ctx.attr.python_version,
    )]

_fake_base = rule(
    implementation = _fake_base_impl,
    attrs = {
        "architecture": attr.string(),
        "layers": attr.int(default = 1),
        "python_version": attr.string(default = DEFAULT_PYTHON),
    },
    doc = "A base for an architecture.",
)

def _fake_server_impl(_ctx):
    return [ServerInfo(entrypoint = [], env = {}, layers = [], model_wheels = depset(), own_place = "", shared_place = "", wheels = depset())]

_fake_server = rule(implementation = _fake_server_impl, doc = "A server that is for any platform.")

def _of_rules_py_impl(ctx):
    return [PyInfo(transitive_sources = depset())] if ctx.attr.emits else []

_of_rules_py = rule(
    implementation = _of_rules_py_impl,
    attrs = {"emits": attr.bool()},
    doc = "A library as rules_py makes it.",
)

whl_install = rule(
    implementation = _of_rules_py_impl,
    attrs = {"emits": attr.bool()},
    doc = "A wheel as rules_py 2.x's hub has it: the name of the rule is what tells, and no flag gives it rules_python's PyInfo.",
)

def failure_tests(name):
    """Makes the targets and the tests, and a suite of them.

    Args:
      name: of the suite.
    """
    manual = ["manual"]  # They cannot be built: that is the point.
    missing_distribution(
        name = "missing",
        distribution = "cupy-cuda13x",
        found_in = ["//requirements:linux_arm64_gpu.txt, line 15"],
        lock = "//requirements:linux_arm64.txt",
        platform = "linux_arm64",
        tags = manual,
        renew = "bazel run //ml:locks",
    )
    missing_distribution(
        name = "broken",
        distribution = "idna",
        platform = "linux_arm64",
        problem = "//ml:lock.txt, line 3: idna==3.20 has no --hash",
        renew = "bazel run //ml:locks",
        tags = manual,
    )
    missing_distribution(
        name = "other_marker",
        distribution = "colorama",
        listed = True,
        lock = "//ml:lock.txt",
        platform = "linux_arm64",
        renew = "bazel run //ml:locks",
        tags = manual,
    )
    missing_distribution(
        name = "import_name",
        distribution = "sklearn",
        hub = "pypi",
        import_of = ["scikit-learn"],
        locked = True,
        renew = "bazel run //ml:locks",
        tags = manual,
    )
    missing_distribution(
        name = "import_not_locked",
        distribution = "cv2",
        hub = "pypi",
        import_of = ["opencv-python-headless", "opencv-python"],
        renew = "bazel run //ml:locks",
        tags = manual,
    )
    missing_distribution(
        name = "not_in_set",
        distribution = "pillow",
        hub = "pypi",
        renew = "bazel run //fraud:locks",
        requirements = "fraud",
        sets = ["vision"],
        tags = manual,
    )
    model_directory(
        name = "unfilled",
        args = ["--fast"],
        tags = manual,
        tool = "//chassis/tools:warm_up",
    )
    _of_rules_py(name = "rules_py_library")
    whl_install(name = "rules_py_wheel")
    for dep in ["rules_py_library", "rules_py_wheel"]:
        chassis_model(
            name = "model_of_" + dep,
            srcs = ["model.py"],
            entry_point = "model:predict",
            tags = manual,
            deps = [":" + dep],
        )
    _fake_model(name = "model_of_312", python_version = "3.12")
    _fake_model(name = "model_of_two_numpys", wheels = ["numpy-1.26.4-cp311-cp311-any.whl", "numpy-2.3.1-cp311-cp311-any.whl"])
    _fake_model(name = "model_of_old_releases", wheels = ["grpcio-1.62.3-cp311-cp311-any.whl", "protobuf-3.20.3-py2.py3-none-any.whl"])
    _fake_model(name = "fake_model")
    _fake_push(name = "push_by_an_identity")
    oci_push_all(name = "pushes_with_keys", pushes = [":push_by_an_identity"], tags = manual)
    _fake_base(name = "base_amd64", architecture = "amd64")
    _fake_base(name = "base_of_many_layers", architecture = "arm64", layers = 127)
    _fake_base(name = "base_of_312", architecture = "arm64", python_version = "3.12")
    native.filegroup(name = "two_files", srcs = ["BUILD.bazel", "failures_test.bzl"])
    chassis_image(name = "many_layers", base = ":base_of_many_layers", model = ":fake_model", tags = manual)
    chassis_image(name = "base_mismatch", base = ":base_of_312", model = ":fake_model", tags = manual)
    chassis_image(name = "layout_mismatch", base = ":BUILD.bazel", base_python_version = "3.12", model = ":fake_model", tags = manual)
    chassis_image(name = "no_such_python", model = ":fake_model", python = "3.12", tags = manual)
    image_python(name = "python_without_parts", interpreter = ":python_of_somebody", version = "3.12")
    native.filegroup(name = "python_of_somebody", srcs = ["BUILD.bazel"])
    debian_base(name = "says_314", architecture = "arm64", packages = "@chassis_bookworm_arm64//:packages", python_version = "3.14", tags = manual)
    debian_base(name = "says_nothing", architecture = "arm64", packages = "@chassis_trixie_arm64//:packages", tags = manual)
    chassis_image(name = "on_says_nothing", base = ":says_nothing", model = ":fake_model", python = "3.14", tags = manual)
    for part, target in {"base": "base", "headers": "headers_arm64", "target_interpreter": "target_interpreter"}.items():
        chassis_image(name = "no_" + part, base = ":python_without_parts." + target, model = ":fake_model", tags = manual)
    image_python(name = "wrong_interpreter", interpreter = "//platforms/build_machine:python", version = "3.12")
    native.platform(
        name = "arm64_python310",
        constraint_values = ["//platforms/python:3.10"],
        parents = ["//platforms:arm64"],
    )
    chassis_image(name = "two_minds", base = ":base_of_312", model = ":fake_model", python = DEFAULT_PYTHON, model_server = ":fake_server", tags = manual)
    _python310_test(
        name = "python310_test",
        says = ["there is no image_python for Python 3.10; there is one for 3.11, 3.13, 3.14", "pythons.image_python(version = \"3.10\""],
        target_under_test = ":two_minds",
    )
    chassis_image(name = "python_mismatch", model = ":model_of_312", tags = manual)
    chassis_image(name = "two_numpys", model = ":model_of_two_numpys", tags = manual)
    chassis_image(name = "clash_in_one_process", model = ":model_of_old_releases", tags = manual, workers = 0)
    chassis_image(name = "wrong_base", base = ":base_amd64", model = ":fake_model", tags = manual)
    chassis_image(name = "no_layout", base = ":two_files", model = ":fake_model", tags = manual)

    chassis_image(name = "unknown_code", doctor_allow = {"ELF02": "because"}, model = ":fake_model", tags = manual)
    chassis_image(name = "no_reason", doctor_allow = {"ELF002:opt/*": " "}, model = ":fake_model", tags = manual)

    native.platform(
        name = "arm64_with_an_amd64_cpu",
        constraint_values = ["//platforms/cpu:x86-64-v3"],
        parents = ["//platforms:arm64"],
    )
    _fake_server(name = "fake_server")
    _mixed_platform_test(
        name = "mixed_platform_test",
        says = ["the platform is arm64 and its //platforms/cpu says x86-64-v3", "cortex-a53"],
        target_under_test = ":mixed_up",
    )
    chassis_image(name = "mixed_up", base = ":base_amd64", model = ":fake_model", model_server = ":fake_server", tags = manual)

    _chunks_in_zstd_test(
        name = "chunks_in_zstd_test",
        says = ["rules:chunk_size=4194304", "compression=zstd have no chunks"],
        target_under_test = "//base_images:python%s_arm64" % DEFAULT_PYTHON,
    )

    says = {
        "many_layers": ["runtimes take no more than 127", "Set `wheel_layers` to a lower number"],
        "broken": ["idna cannot be had for linux_arm64", "//ml:lock.txt, line 3: idna==3.20 has no --hash", "renew the lock: bazel run //ml:locks"],
        "clash_in_one_process": ["workers = 0 has the model in the server's own process", "grpcio: the model's is 1.62.3 (lock 0), the server runs with", "protobuf: the model's is 3.20.3 (lock 1), the server runs with", "workers = 1"],
        "import_name": ["sklearn is what Python imports; its distribution is scikit-learn", "write: @pypi//scikit-learn"],
        "import_not_locked": ["opencv-python-headless or opencv-python, which no lock of @pypi has", "run: bazel run //ml:locks"],
        "other_marker": ["colorama is not locked for linux_arm64", "its marker does not hold"],
        "missing": ["cupy-cuda13x is not locked for linux_arm64", "//requirements:linux_arm64_gpu.txt, line 15", "bazel run //ml:locks"],
        "model_of_rules_py_library": ["rules_py_library has no PyInfo of rules_python", "emit_rules_python_providers"],
        "model_of_rules_py_wheel": ["rules_py_wheel, a wheel of a hub of rules_py", "wheels.hub(name"],
        "unfilled": ["no argument names {output}, the directory that //chassis/tools:warm_up is to fill", "args = [\"--fast\"]"],
        "not_in_set": ["pillow is not in the set fraud of @pypi; it is in vision", "run: bazel run //fraud:locks"],
        "no_layout": ["is neither a base of this build nor one OCI layout directory"],
        "no_reason": ["doctor_allow", "ELF002:opt/*", "has no reason"],
        "base_mismatch": ["the image's Python is %s, the base" % DEFAULT_PYTHON, "base_of_312 has Python 3.12", "write python = \"3.12\"", "take a base with Python " + DEFAULT_PYTHON],
        "layout_mismatch": ["the image's Python is %s, the base" % DEFAULT_PYTHON, "has Python 3.12", "write python = \"3.12\""],
        "pushes_with_keys": ["//tests/analysis:push_by_an_identity signs with an identity: write `keyless = True` here, too"],
        "says_314": ["its packages have Python 3.11, and its Python is to be 3.14, as `python_version` says", "Write python_version = \"3.11\""],
        "on_says_nothing": ["its packages have Python 3.13, and its Python is to be 3.14, that of the images that are built", "take packages with Python 3.14"],
        "no_base": ["image_python //tests/analysis:python_without_parts has no `base`", "docs/python.md"],
        "no_headers": ["image_python //tests/analysis:python_without_parts has no `headers`", "give it one (docs/python.md)"],
        "no_target_interpreter": ["image_python //tests/analysis:python_without_parts has no `target_interpreter`", "give it one (docs/python.md)"],
        "no_such_python": ["there is no image_python for Python 3.12; there is one for 3.11, 3.13, 3.14", "name it in MODULE.bazel"],
        "python_mismatch": ["pickled with Python 3.12", "the image's Python is " + DEFAULT_PYTHON, "write python = \"3.12\""],
        "wrong_interpreter": ["version = 3.12, and its interpreter is Python " + TOOLS_PYTHON, "a Python 3.12 that runs on the build machine"],
        "two_numpys": ["two wheels of numpy", "1.26.4, lock 0", "2.3.1, lock 1", "take both dependencies from one hub"],
        "unknown_code": ["doctor_allow", '"ELF02" is neither a code nor CODE:path-pattern', "ELF001, ELF002"],
        "wrong_base": ["base_amd64 is for amd64, the platform for arm64"],
    }
    for target, texts in says.items():
        _arm64_failure_test(
            name = target + "_test",
            says = texts,
            target_under_test = ":" + target,
        )
    native.test_suite(name = name, tests = [":%s_test" % target for target in says.keys() + ["chunks_in_zstd", "mixed_platform", "python310"]])
