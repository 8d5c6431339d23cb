"""chassis_image: the OCI image of a model."""

load("//rules/private/declaration:declared.bzl", "DEFAULT_PYTHON", "MAX_WORKERS", "SERVER_PORTS")
load("//rules/private/doctor:doctor.bzl", "DOCTOR_ATTRS", "doctor_labels", "examine")
load("//rules/private/doctor:doctor_report.bzl", "doctor_report")
load("//rules/private/platform:target.bzl", "UNKNOWN_PLATFORM", "check_cpu", "target_accelerator", "target_architecture", "target_cpu")
load("//rules/providers:doctor_info.bzl", "DoctorInfo")
load("//rules/providers:image_info.bzl", "BaseInfo", "ImageInfo")
load("//rules/providers:model_info.bzl", "ModelInfo")
load("//rules/providers:pulled_info.bzl", "PulledInfo")
load("//rules/providers:server_info.bzl", "ServerInfo")
load(":image_explain.bzl", "image_explain")
load(":image_layout.bzl", "IMAGE_LAYOUT_ATTRS", "image_documents", "image_layout")
load(":layer.bzl", "layer_action")
load(":layer_flags.bzl", "LAYER_ATTRS", "tool_python_version")
load(":layer_plan.bzl", "layer_plan")
load(":layouts_flag.bzl", "LAYOUTS_ATTRS", "layout_files", "layout_runfiles")

_DOC = """An image that serves a model. Its output is an OCI image layout directory."""

_ATTRS = DOCTOR_ATTRS | IMAGE_LAYOUT_ATTRS | LAYER_ATTRS | LAYOUTS_ATTRS | {
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
    "wheel_layers": attr.int(),
    "workers": attr.int(),
    "_wheel_layer": attr.label(default = "//chassis/tools:wheel_layer", cfg = "exec", executable = True),
}

# What the NVIDIA container runtime reads: which devices and which parts of the driver to bring into the container.
# https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/latest/docker-specialized.html
_ACCELERATOR_ENV = {
    "cuda": {
        # What `chassis.device()` goes by.
        "CHASSIS_ACCELERATOR": "cuda",
        "NVIDIA_DRIVER_CAPABILITIES": "compute,utility",
        "NVIDIA_VISIBLE_DEVICES": "all",
    },
    "none": {},
}

# Where container runtimes stop.
_MOST_LAYERS = 127

def _placed(ctx, model, server):
    """Which wheels go where.

    The server's process has a place of its own. A model that brings the same wheels shares them: they are in the image once,
    where the model has them, and the server looks there too. If one of them is another wheel, the server has all of its own.

    Returns:
      struct(environment: list of WheelLayerInfo, the model's; own: list of WheelLayerInfo, the server's; path: list of
      string, the directories that the server's process imports from).
    """
    chosen = {}
    for packaged in model.wheels.to_list():
        wheel = packaged.wheel
        other = chosen.get(wheel.distribution)
        if other and other.wheel.wheel.basename != wheel.wheel.basename:
            fail("\n%s: two wheels of %s\n  %s, %s\n  %s, %s\nA model has one site-packages: take both dependencies from one hub." % (
                ctx.label,
                wheel.distribution,
                other.wheel.version,
                other.wheel.lock,
                wheel.version,
                wheel.lock,
            ))
        chosen[wheel.distribution] = packaged
    of_server = server.wheels.to_list()
    brought = [entry for entry in of_server if entry.wheel.distribution in chosen]
    differing = [entry for entry in brought if chosen[entry.wheel.distribution].wheel.wheel.basename != entry.wheel.wheel.basename]
    if differing and ctx.attr.workers == 0:
        fail("\n%s: workers = 0 has the model in the server's own process, and their wheels clash:\n%s\nLet the model have a process of its own (workers = 1), or lock the server's versions." % (
            ctx.label,
            "\n".join([
                "  %s: the model's is %s (%s), the server's %s" % (
                    entry.wheel.distribution,
                    chosen[entry.wheel.distribution].wheel.version,
                    chosen[entry.wheel.distribution].wheel.lock,
                    entry.wheel.version,
                )
                for entry in differing
            ]),
        ))
    shared = {} if differing else {entry.wheel.distribution: None for entry in brought}
    for packaged in server.model_wheels.to_list():
        chosen.setdefault(packaged.wheel.distribution, packaged)
    return struct(
        environment = [chosen[name] for name in sorted(chosen)],
        own = [entry for entry in of_server if entry.wheel.distribution not in shared],
        path = ([server.own_place] + ([server.shared_place] if shared else [])) if of_server else [],
    )

def _wheel_layers(ctx, wheels, most):
    """A layer for each wheel, some of them shared if there are more than `most`."""
    packaged = {entry.wheel.distribution: entry for entry in wheels}
    planned = layer_plan.plan(
        [struct(name = name, size = getattr(entry.wheel, "size", 0)) for name, entry in packaged.items()],
        most,
    )
    return [
        packaged[layer.names[0]].layer if len(layer.names) == 1 else _shared_layer(ctx, layer, packaged)
        for layer in planned
    ]

def _shared_layer(ctx, planned, packaged):
    files = [packaged[name].wheel.wheel for name in planned.names]
    args = ctx.actions.args()
    args.add_all(files, format_each = "--wheel=%s")
    return layer_action(
        ctx,
        "%s.wheels_%d" % (ctx.label.name, planned.share),
        ctx.attr._wheel_layer[DefaultInfo].files_to_run,
        args,
        files,
        "wheels " + ", ".join(["%s %s" % (name, packaged[name].wheel.version) for name in planned.names]),
        "WheelLayer",
    )

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
    tools_version = tool_python_version(ctx.attr._wheel_layer)
    if tools_version and base_version and tools_version != base_version:
        fail("\n%s: layers are made by Python %s, the base %s has Python %s\nWheels are installed and modules compiled for one minor version: register a Python %s toolchain, or take a base with Python %s." % (
            ctx.label,
            tools_version,
            ctx.attr.base.label,
            base_version,
            base_version,
            tools_version,
        ))

def _sources(base):
    """The repositories that have layers of the base."""
    if PulledInfo in base:
        return [base[PulledInfo].source]
    return base[ImageInfo].sources if ImageInfo in base else []

def _impl(ctx):
    if not ctx.attr.architecture:
        fail("\n%s: %s" % (ctx.label, UNKNOWN_PLATFORM))
    check_cpu(ctx.label, ctx.attr.architecture, ctx.attr.cpu)
    model = ctx.attr.model[ModelInfo]
    server = ctx.attr.server[ServerInfo]
    base = ctx.attr.base[BaseInfo] if BaseInfo in ctx.attr.base else None
    if base and base.architecture != ctx.attr.architecture:
        fail("%s: base %s is for %s, the platform for %s" % (ctx.label, ctx.attr.base.label, base.architecture, ctx.attr.architecture))
    if not base and len(ctx.files.base) != 1:
        fail("%s: base %s is neither a base of this build nor one OCI layout directory" % (ctx.label, ctx.attr.base.label))
    _check_python(ctx, model, base.python_version if base else ctx.attr.base_python_version)

    placed = _placed(ctx, model, server)
    wheels = [entry.layer for entry in placed.own]
    wheels += _wheel_layers(ctx, placed.environment, max(1, ctx.attr.wheel_layers - len(wheels)))
    layers = (base.layers if base else []) + server.layers + wheels + model.layers
    if len(layers) > _MOST_LAYERS:
        fail("\n%s: %d layers, %d of them of wheels; runtimes take no more than %d\nSet `wheel_layers` to a lower number, and more wheels share a layer." % (
            ctx.label,
            len(layers),
            len(wheels),
            _MOST_LAYERS,
        ))

    env = {}
    env.update(base.env if base else {})
    env.update(server.env)
    env["PYTHONPATH"] = ":".join(["/app/code" + ("/" + path if path else "") for path in model.imports])
    if placed.path:
        env["CHASSIS_SERVER_PATH"] = ":".join(placed.path)
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
    labels.update(doctor_labels(ctx))
    labels.update(ctx.attr.labels)

    config = {
        "cmd": [],
        "entrypoint": server.entrypoint,
        "env": env,
        "exposed_ports": ctx.attr.ports,
        "labels": labels,
        "user": ctx.attr.user,
        "working_dir": "/app",
    }
    variant = "v8" if ctx.attr.architecture == "arm64" else ""

    # The layout that the image stands on, and what its blobs are links to. An image of this build brings its documents.
    base_layout = None
    base_files = []
    base_documents = []
    if not base:
        below = ctx.attr.base[ImageInfo] if ImageInfo in ctx.attr.base else None
        base_layout = below.layout if below else ctx.files.base[0]
        needed = below.files if below else ctx.attr.base[DefaultInfo].default_runfiles.files
        base_files = [base_layout] + [file for file in needed.to_list() if file != base_layout]
        base_documents = [below.documents] if below else base_files
    documents = image_documents(ctx, {
        "architecture": ctx.attr.architecture,
        "config": config,
        "os": "linux",
        "ref_name": None,
        "variant": variant,
    }, layers, base_documents)
    layout = image_layout(ctx, documents, layers, base_files)
    doctor, output_groups = examine(ctx, config, variant, layers, base_files)
    files = depset([layout] + [layer.blob for layer in layers] + base_files)
    return [
        DefaultInfo(
            files = layout_files(ctx, documents, layout),
            runfiles = layout_runfiles(ctx, files),
        ),
        ImageInfo(
            accelerator = ctx.attr.accelerator,
            all_layers = (ctx.attr.base[ImageInfo].all_layers if ImageInfo in ctx.attr.base else []) + layers,
            architecture = ctx.attr.architecture,
            base_files = base_files,
            base_layout = ctx.attr.base[ImageInfo].base_layout if ImageInfo in ctx.attr.base else base_layout,
            cpu = ctx.attr.cpu,
            documents = documents,
            files = files,
            held = ctx.attr.base[ImageInfo].held if ImageInfo in ctx.attr.base else depset(base_files),
            layers = layers,
            layout = layout,
            model = model if hasattr(model, "settings") else None,
            sources = _sources(ctx.attr.base),
        ),
        doctor,
        output_groups,
    ]

_chassis_image = rule(
    implementation = _impl,
    attrs = _ATTRS,
    doc = _DOC,
    provides = [DoctorInfo, ImageInfo],
)

def chassis_image(
        name,
        model,
        base = Label("//base_images:python"),
        base_python_version = DEFAULT_PYTHON,
        cpu_features = [],
        doctor_allow = {},
        env = {},
        labels = {},
        user = "65532:65532",
        ports = None,
        model_server = Label("//chassis/runtime:server"),
        servers = ["omi", "v2-grpc", "v2-http", "v1-http"],
        wheel_layers = layer_plan.MOST,
        workers = 1,
        **kwargs):
    """The OCI image of a model, for the platform that `--platforms` names.

    `bazel build //model:image --platforms=//platforms:arm64_gpu` leaves an OCI image layout directory in
    `bazel-bin/model/image`, which skopeo, umoci, crane, podman and rules_oci read as it is.
    `bazel run //model:image.explain` says what it is made of, and what changed since another, see docs/layers.md.

    The doctor examines the image in the build, which fails on its findings (docs/doctor.md); `bazel run
    //model:image.doctor` prints its whole report.

    Args:
      name: the target's name.
      model: the `chassis_model`.
      base: what the image stands on: a `debian_base`, or a target whose one file is an OCI layout directory.
      base_python_version: minor version of the base's Python, where the base is an OCI layout, which does not say.
      cpu_features: what the model's own code needs of a CPU beyond the architecture's baseline, such as `avx2` or
        `sve`: the doctor compares it with the platform's `//platforms/cpu`.
      doctor_allow: findings of the doctor that are right to ship: code, or `CODE:path-pattern`, to the reason, which the
        image's label `dev.chassis.doctor.allow` records.
      env: environment of the container, over that of the base and the server.
      labels: labels of the image.
      user: who the server runs as, `uid:gid`.
      ports: ports that the image declares, such as `45000/tcp`; those of `servers` where it is left out.
      model_server: the model server.
      servers: the front ends that are started: `omi` (Open Model Interface, gRPC), `v2-grpc` and `v2-http` (Open Inference
        Protocol v2), `v1-http` (KServe's v1). `CHASSIS_SERVERS` in the container's environment chooses anew.
      wheel_layers: the most layers that wheels take. With more wheels than that, the biggest keep a layer each and the
        others share some, see docs/layers.md. A base of many layers may ask for fewer: runtimes stop at 127 in all.
      workers: processes of the model beside the server's. More than one is for a model that holds Python's lock while it
        computes; each has the model in memory. 0 is a thread of the server's own process. `CHASSIS_WORKERS` in the
        container's environment chooses anew.
      **kwargs: Bazel's common attributes.
    """
    if workers < 0 or workers > MAX_WORKERS:
        fail("chassis_image(name = %r): workers = %d: expected 0 to %d processes of the model" % (name, workers, MAX_WORKERS))
    for name_of_server in servers:
        if name_of_server not in SERVER_PORTS:
            fail("chassis_image(name = %r): servers: %r is none of %s" % (name, name_of_server, ", ".join(SERVER_PORTS)))
    if not servers:
        fail("chassis_image(name = %r): servers: name at least one of %s" % (name, ", ".join(SERVER_PORTS)))
    if ports == None:
        ports = {SERVER_PORTS[name_of_server]: None for name_of_server in servers}.keys()
    for port in ports:
        number, slash, protocol = port.partition("/")
        if not number.isdigit() or int(number) > 65535 or (slash and protocol not in ["tcp", "udp"]):
            fail("chassis_image(name = %r): port %r is not of the form 8080 or 8080/tcp" % (name, port))
    if workers != 1:
        env = {"CHASSIS_WORKERS": str(workers)} | env
    chosen = {} if sorted(servers) == sorted(SERVER_PORTS) else {"CHASSIS_SERVERS": ",".join(servers)}
    if wheel_layers < 1:
        fail("chassis_image(name = %r): wheel_layers = %d: wheels need one layer at least" % (name, wheel_layers))
    _chassis_image(
        name = name,
        accelerator = target_accelerator(),
        architecture = target_architecture(),
        base = base,
        base_python_version = base_python_version,
        cpu = target_cpu(),
        cpu_features = cpu_features,
        doctor_allow = doctor_allow,
        env = chosen | env,
        labels = labels,
        model = model,
        ports = ports,
        server = model_server,
        user = user,
        wheel_layers = wheel_layers,
        workers = workers,
        **kwargs
    )
    doctor_report(
        name = name + ".doctor",
        image = ":" + name,
        **kwargs
    )
    image_explain(
        name = name + ".explain",
        image = name,
        **(kwargs | {"tags": kwargs.get("tags", []) + ["manual"]})
    )
