"""chassis_image: the OCI image of a model."""

load("//rules/providers:image_info.bzl", "BaseInfo", "ImageInfo")
load("//rules/providers:model_info.bzl", "ModelInfo")
load("//rules/providers:server_info.bzl", "ServerInfo")
load(":target.bzl", "UNKNOWN_PLATFORM", "target_accelerator", "target_architecture", "target_cpu")

_DOC = """An image that serves a model. Its output is an OCI image layout directory."""

_ATTRS = {
    "accelerator": attr.string(mandatory = True),
    "architecture": attr.string(mandatory = True),
    "base": attr.label(mandatory = True, allow_files = True),
    "base_python_version": attr.string(),
    "cpu": attr.string(),
    "env": attr.string_dict(),
    "labels": attr.string_dict(),
    "model": attr.label(mandatory = True, providers = [ModelInfo]),
    "ports": attr.string_list(),
    "server": attr.label(mandatory = True, providers = [ServerInfo]),
    "user": attr.string(),
    "_image_layout": attr.label(default = "//chassis/tools:image_layout", cfg = "exec", executable = True),
}

# What the NVIDIA container runtime reads: which devices and which parts of the driver to bring into the container.
# https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/latest/docker-specialized.html
_ACCELERATOR_ENV = {
    "cuda": {
        "NVIDIA_DRIVER_CAPABILITIES": "compute,utility",
        "NVIDIA_VISIBLE_DEVICES": "all",
    },
    "none": {},
}

# Container runtimes stop at 127 layers; some need a few of their own.
_MOST_LAYERS = 100

def _wheels(ctx, model, server):
    """The wheels by name: the model's, and of the server's those that the model does not bring itself."""
    chosen = {}
    for packaged in model.wheels.to_list():
        wheel = packaged.wheel
        other = chosen.get(wheel.distribution)
        if other and other.wheel.wheel.basename != wheel.wheel.basename:
            fail("\n%s: two wheels of %s\n  %s, %s\n  %s, %s\nAn image has one site-packages: take both dependencies from one hub." % (
                ctx.label,
                wheel.distribution,
                other.wheel.version,
                other.wheel.lock,
                wheel.version,
                wheel.lock,
            ))
        chosen[wheel.distribution] = packaged
    for packaged in server.wheels.to_list():
        if packaged.wheel.distribution not in chosen:
            chosen[packaged.wheel.distribution] = packaged
    return [chosen[name] for name in sorted(chosen)]

def _check_python(ctx, model, base_version):
    if model.python_version and base_version and model.python_version != base_version:
        fail("\n%s: the model was pickled with Python %s, the base %s has Python %s\nA pickle holds bytecode of one minor version: register a Python %s toolchain, or take a base with Python %s." % (
            ctx.label,
            model.python_version,
            ctx.attr.base.label,
            base_version,
            base_version,
            model.python_version,
        ))

def _impl(ctx):
    if not ctx.attr.architecture:
        fail("\n%s: %s" % (ctx.label, UNKNOWN_PLATFORM))
    model = ctx.attr.model[ModelInfo]
    server = ctx.attr.server[ServerInfo]
    base = ctx.attr.base[BaseInfo] if BaseInfo in ctx.attr.base else None
    if base and base.architecture != ctx.attr.architecture:
        fail("%s: base %s is for %s, the platform for %s" % (ctx.label, ctx.attr.base.label, base.architecture, ctx.attr.architecture))
    if not base and len(ctx.files.base) != 1:
        fail("%s: base %s is neither a base of this build nor one OCI layout directory" % (ctx.label, ctx.attr.base.label))
    _check_python(ctx, model, base.python_version if base else ctx.attr.base_python_version)

    wheels = [packaged.layer for packaged in _wheels(ctx, model, server)]
    layers = (base.layers if base else []) + server.layers + wheels + model.layers
    if len(layers) > _MOST_LAYERS:
        fail("%s: %d layers, runtimes take no more than 127 and Chassis keeps to %d" % (ctx.label, len(layers), _MOST_LAYERS))

    env = {}
    env.update(base.env if base else {})
    env.update(server.env)
    env["PYTHONPATH"] = ":".join(["/app/code" + ("/" + path if path else "") for path in model.imports])
    env.update(_ACCELERATOR_ENV[ctx.attr.accelerator])
    env.update(ctx.attr.env)

    labels = {
        "org.opencontainers.image.title": model.name,
        "org.opencontainers.image.version": model.version,
        # Those of chassisml's own images.
        "ml.openmodel.interfaces": '["container"]',
        "ml.openmodel.port": "45000",
        "ml.openmodel.protocols": '["v2"]',
    }
    labels.update(ctx.attr.labels)

    layout = ctx.actions.declare_directory(ctx.label.name)
    spec = ctx.actions.declare_file(ctx.label.name + ".spec.json")
    ctx.actions.write(spec, json.encode_indent({
        "architecture": ctx.attr.architecture,
        "base_layout": None if base else ctx.files.base[0].path,
        "config": {
            "cmd": [],
            "entrypoint": server.entrypoint,
            "env": env,
            "exposed_ports": ctx.attr.ports,
            "labels": labels,
            "user": ctx.attr.user,
            "working_dir": "/app",
        },
        "layers": [
            {"blob": layer.blob.path, "descriptor": layer.descriptor.path, "files": layer.files.path}
            for layer in layers
        ],
        "os": "linux",
        "ref_name": None,
        "variant": "v8" if ctx.attr.architecture == "arm64" else "",
    }, indent = " ") + "\n")
    args = ctx.actions.args()
    args.add(spec, format = "--spec=%s")
    args.add_all([layout], format_each = "--output=%s", expand_directories = False)
    blobs = [layer.blob for layer in layers]
    ctx.actions.run(
        executable = ctx.executable._image_layout,
        arguments = [args],
        inputs = [spec] + ([] if base else ctx.files.base) + [
            file
            for layer in layers
            for file in [layer.blob, layer.descriptor, layer.files]
        ],
        outputs = [layout],
        mnemonic = "ImageLayout",
        progress_message = "Image %{label}",
    )
    return [
        DefaultInfo(files = depset([layout]), runfiles = ctx.runfiles([layout] + blobs)),
        ImageInfo(
            accelerator = ctx.attr.accelerator,
            architecture = ctx.attr.architecture,
            cpu = ctx.attr.cpu,
            layers = layers,
            layout = layout,
        ),
    ]

_chassis_image = rule(
    implementation = _impl,
    attrs = _ATTRS,
    doc = _DOC,
    provides = [ImageInfo],
)

def chassis_image(
        name,
        model,
        base = Label("//base_images:python"),
        base_python_version = "3.11",
        env = {},
        labels = {},
        user = "65532:65532",
        ports = ["45000/tcp"],
        server = Label("//chassis/runtime:server"),
        **kwargs):
    """The OCI image of a model, for the platform that `--platforms` names.

    `bazel build //model:image --platforms=//platforms:arm64_gpu` leaves an OCI image layout directory in
    `bazel-bin/model/image`, which skopeo, umoci, crane, podman and rules_oci read as it is.

    Args:
      name: the target's name.
      model: the `chassis_model`.
      base: what the image stands on: a `debian_base`, or a target whose one file is an OCI layout directory.
      base_python_version: minor version of the base's Python, where the base is an OCI layout, which does not say.
      env: environment of the container, over that of the base and the server.
      labels: labels of the image.
      user: who the server runs as, `uid:gid`.
      ports: ports that the image declares, such as `45000/tcp`.
      server: the model server.
      **kwargs: Bazel's common attributes.
    """
    for port in ports:
        number, slash, protocol = port.partition("/")
        if not number.isdigit() or int(number) > 65535 or (slash and protocol not in ["tcp", "udp"]):
            fail("chassis_image(name = %r): port %r is not of the form 8080 or 8080/tcp" % (name, port))
    _chassis_image(
        name = name,
        accelerator = target_accelerator(),
        architecture = target_architecture(),
        base = base,
        base_python_version = base_python_version,
        cpu = target_cpu(),
        env = env,
        labels = labels,
        model = model,
        ports = ports,
        server = server,
        user = user,
        **kwargs
    )
