"""chassis_image: the OCI image of a model."""

load("@bazel_skylib//rules:common_settings.bzl", "BuildSettingInfo")
load("//rules/private/declaration:declared.bzl", "MAX_LAYERS", "MAX_WORKERS", "SERVER_PORTS")
load("//rules/private/doctor:doctor.bzl", "DOCTOR_ATTRS", "doctor_labels", "examine", "waivers")
load("//rules/private/doctor:doctor_report.bzl", "doctor_report")
load("//rules/private/platform:machine.bzl", "for_linux")
load("//rules/private/platform:target.bzl", "check_cpu", "target_accelerator", "target_architecture", "target_cpu")
load("//rules/private/python:image_python.bzl", "python_of")
load("//rules/private/python:python_transition.bzl", "check_python")
load("//rules/private/tools:names.bzl", "names")
load("//rules/private/wheels:hub_labels.bzl", "check_requirements")
load("//rules/providers:doctor_info.bzl", "DoctorInfo")
load("//rules/providers:image_info.bzl", "BaseInfo", "ImageInfo")
load("//rules/providers:model_info.bzl", "ModelInfo")
load("//rules/providers:pulled_info.bzl", "PulledInfo")
load("//rules/providers:server_info.bzl", "ServerInfo")
load("//rules/providers:software_info.bzl", "SoftwareInfo")
load(":attestations.bzl", "StampInfo")
load(":image_explain.bzl", "image_explain")
load(":image_layout.bzl", "IMAGE_LAYOUT_ATTRS", "image_documents", "image_layout")
load(":image_parts.bzl", "IMAGE_PARTS_ATTRS", "image_part", "image_parts")
load(":image_sbom.bzl", "attestation_targets")
load(":image_serve.bzl", "image_serve")
load(":image_wheels.bzl", "IMAGE_WHEELS_ATTRS", "place_wheels", "wheel_layers")
load(":layer_flags.bzl", "LAYER_ATTRS")
load(":layer_plan.bzl", "layer_plan")
load(":layouts_flag.bzl", "LAYOUTS_ATTRS", "layout_files", "layout_runfiles")
load(":model_signature.bzl", "MODEL_SIGNATURE_ATTRS", "model_signature")

_DOC = """An image that serves a model. Its output is an OCI image layout directory."""

# The image's Python is one of IMAGE_PARTS_ATTRS: an image that asks for one does not look at that of the flag.
_LAYER_ATTRS = {name: attribute for name, attribute in LAYER_ATTRS.items() if name != "_image_python"}

_ATTRS = DOCTOR_ATTRS | IMAGE_LAYOUT_ATTRS | IMAGE_PARTS_ATTRS | IMAGE_WHEELS_ATTRS | _LAYER_ATTRS | LAYOUTS_ATTRS | MODEL_SIGNATURE_ATTRS | {
    "accelerator": attr.string(mandatory = True),
    "accuracy": attr.label_list(allow_files = [".json"]),
    "annotations": attr.string_dict(),
    "architecture": attr.string(mandatory = True),
    "base_python_version": attr.string(),
    "cpu": attr.string(),
    "env": attr.string_dict(),
    "labels": attr.string_dict(),
    "ports": attr.string_list(),
    "user": attr.string(),
    "_stamp": attr.label(default = "//rules/private/image:stamp", providers = [StampInfo]),
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

def _check_python(ctx, model, base, base_version):
    python = python_of(ctx).version
    if ctx.attr.python and ctx.attr.python != python:
        fail("\n%s: python = %s, and the platform's //platforms/python says %s\nTake a platform that says %s or nothing, or leave `python` out." % (
            ctx.label,
            ctx.attr.python,
            python,
            ctx.attr.python,
        ))
    if base_version and base_version != python:
        fail("\n%s: the image's Python is %s, the base %s has Python %s\nPickles, bytecode and wheels are of one minor version: write python = \"%s\", or take a base with Python %s." % (
            ctx.label,
            python,
            base.label,
            base_version,
            base_version,
            python,
        ))
    if model.python_version and model.python_version != python:
        fail("\n%s: the model was pickled with Python %s, the image's Python is %s\nA pickle holds bytecode of one minor version: write python = \"%s\", or let the model be pickled by Python %s." % (
            ctx.label,
            model.python_version,
            python,
            model.python_version,
            python,
        ))

def _sources(base):
    """The repositories that have layers of the base."""
    if PulledInfo in base:
        return [base[PulledInfo].source]
    return base[ImageInfo].sources if ImageInfo in base else []

def _status_files(ctx):
    """The workspace's status, if the build is stamped and an annotation names a key of it: other images never change."""
    if not ctx.attr._stamp[StampInfo].stamp:
        return []
    templates = [value.replace("{BASE_DIGEST}", "") for value in ctx.attr.annotations.values()]
    return [ctx.info_file, ctx.version_file] if [value for value in templates if "{" in value] else []

def _software(ctx, model, base, python_version, wheels, layers, facts):
    """The layers of the image, after those of the base if that is an image of this build."""
    below = getattr(base[ImageInfo], "software", None) if ImageInfo in base else None
    records = [base[BaseInfo].record] if BaseInfo in base and hasattr(base[BaseInfo], "record") else []
    records += [packaged.record for packaged in wheels if hasattr(packaged, "record")]
    return SoftwareInfo(
        accuracy = ctx.files.accuracy,
        facts = (below.facts if below else []) + zip(layers, facts),
        metadata = getattr(model, "metadata", None),
        model = model.name,
        parameters = {
            "flags": {
                "bytecode": ctx.attr._bytecode[BuildSettingInfo].value,
                "chunk_size": ctx.attr._chunk_size[BuildSettingInfo].value,
                "compression": ctx.attr._compression[BuildSettingInfo].value,
            },
            "platform": {
                "accelerator": ctx.attr.accelerator,
                "architecture": ctx.attr.architecture,
                "cpu": ctx.attr.cpu,
                # The build machine's own, such as `@platforms//host:host`, if no flag named one.
                "name": names.label_for_people(ctx.fragments.platform.platform),
            },
            "python": python_version,
        },
        python_version = python_version,
        records = (below.records if below else []) + records,
        sources = getattr(model, "sources", depset()),
        version = model.version,
    )

def _impl(ctx):
    check_cpu(ctx.label, ctx.attr.architecture, ctx.attr.cpu)
    model = image_part(ctx, "model")[ModelInfo]
    server = image_part(ctx, "server")[ServerInfo]
    base_target = image_part(ctx, "base")
    base = base_target[BaseInfo] if BaseInfo in base_target else None
    if base and base.architecture != ctx.attr.architecture:
        fail("%s: base %s is for %s, the platform for %s" % (ctx.label, base_target.label, base.architecture, ctx.attr.architecture))
    files_of_base = base_target[DefaultInfo].files.to_list()
    if not base and len(files_of_base) != 1:
        fail("%s: base %s is neither a base of this build nor one OCI layout directory" % (ctx.label, base_target.label))
    _check_python(ctx, model, base_target, base.python_version if base else ctx.attr.base_python_version)

    placed = place_wheels(ctx, model, server)
    wheels = [entry.layer for entry in placed.own]
    wheels += wheel_layers(ctx, placed.environment, max(1, ctx.attr.wheel_layers - len(wheels)))
    layers = (base.layers if base else []) + server.layers + wheels + model.layers + model_signature(ctx, model.layers)
    if len(layers) > MAX_LAYERS:
        fail("\n%s: %d layers, %d of them of wheels; runtimes take no more than %d\nSet `wheel_layers` to a lower number, and more wheels share a layer." % (
            ctx.label,
            len(layers),
            len(wheels),
            MAX_LAYERS,
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
    allow = waivers(ctx, [entry.wheel for entry in placed.environment + placed.own])
    labels.update(doctor_labels(allow))
    if ctx.attr.exclude:
        labels["dev.chassis.exclude"] = json.encode(ctx.attr.exclude)
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

    # The base's layout, and the files that its blobs are links to. An image of this build brings its documents.
    base_layout = None
    base_files = []
    base_documents = []
    if not base:
        below = base_target[ImageInfo] if ImageInfo in base_target else None
        base_layout = below.layout if below else files_of_base[0]
        needed = below.files if below else base_target[DefaultInfo].default_runfiles.files
        base_files = [base_layout] + [file for file in needed.to_list() if file != base_layout]
        base_documents = [below.documents] if below else base_files
    documents = image_documents(ctx, {
        "annotations": ctx.attr.annotations,
        "architecture": ctx.attr.architecture,
        "config": config,
        "os": "linux",
        "ref_name": None,
        "variant": variant,
    }, layers, base_documents, _status_files(ctx))
    layout = image_layout(ctx, documents, layers, base_files)
    doctor, output_groups = examine(ctx, config, variant, layers, base_files, base_target.label, allow)
    files = depset([layout] + [layer.blob for layer in layers] + base_files)
    return [
        DefaultInfo(
            files = layout_files(ctx, documents, layout),
            runfiles = layout_runfiles(ctx, files),
        ),
        ImageInfo(
            accelerator = ctx.attr.accelerator,
            all_layers = (base_target[ImageInfo].all_layers if ImageInfo in base_target else []) + layers,
            architecture = ctx.attr.architecture,
            base_files = base_files,
            base_layout = base_target[ImageInfo].base_layout if ImageInfo in base_target else base_layout,
            cpu = ctx.attr.cpu,
            documents = documents,
            files = files,
            held = base_target[ImageInfo].held if ImageInfo in base_target else depset(base_files),
            layers = layers,
            layout = layout,
            model = model if hasattr(model, "settings") else None,
            software = _software(ctx, model, base_target, python_of(ctx).version, placed.environment + placed.own, layers, doctor.facts),
            sources = _sources(base_target),
        ),
        doctor,
        output_groups,
    ]

_chassis_image = rule(
    implementation = _impl,
    attrs = _ATTRS,
    doc = _DOC,
    fragments = ["platform"],
    provides = [DoctorInfo, ImageInfo],
)

def chassis_image(
        name,
        model,
        accuracy = [],
        annotations = {},
        base = Label("//base_images:python"),
        base_python_version = None,
        cpu_features = [],
        doctor_allow = {},
        env = {},
        exclude = [],
        labels = {},
        model_key = None,
        user = "65532:65532",
        ports = None,
        python = None,
        requirements = "",
        model_server = Label("//chassis/runtime:server"),
        servers = ["omi", "v2-grpc", "v2-http", "v1-http"],
        wheel_layers = layer_plan.MOST,
        workers = 1,
        **kwargs):
    """The OCI image of a model, for the platform that `--platforms` names.

    `bazel build //model:image --platforms=//platforms:arm64_gpu` leaves an OCI image layout directory in
    `bazel-bin/model/image`, which skopeo, umoci, crane, podman and rules_oci read as it is.
    `bazel run //model:image.explain` says what it is made of, and what changed since another, see docs/layers.md.
    `bazel run //model:image.serve` runs its server on this machine, and prints commands that ask the model.

    The doctor examines the image in the build, which fails on its findings (docs/doctor.md); `bazel run
    //model:image.doctor` prints its whole report.

    Args:
      name: the target's name.
      model: the `chassis_model`.
      accuracy: case files with `accuracy` that a `chassis_test` of the image asserts: the model's card, in the bill of materials,
        says what they ask for. They change nothing in the image.
      annotations: annotations of the manifest, such as `{"org.opencontainers.image.revision": "{STABLE_GIT_COMMIT}"}`. A
        value with `{KEY}`s of the workspace's status is left out unless the build has `--stamp`; `{BASE_DIGEST}` is the digest
        of the image's base. See docs/trust.md.
      base: the layers below the image's own: a `debian_base`, or a target whose one file is an OCI layout directory; that of the
        image's Python if it is left out.
      base_python_version: minor version of the base's Python, if the base is an OCI layout, which does not say: it is
        compared with the image's.
      cpu_features: what the model's own code needs of a CPU beyond the architecture's baseline, such as `avx2` or
        `sve`: the doctor compares it with the platform's `//platforms/cpu`.
      doctor_allow: findings of the doctor that are right to ship: code, or `CODE:path-pattern`, to the reason, which the
        image's label `dev.chassis.doctor.allow` records.
      env: environment of the container, over that of the base and the server.
      exclude: patterns of files of the model's wheels to leave out, by their path in site-packages, where `*` matches slashes
        too: `["*/tests/*"]`. `RECORD` does not list them, the doctor examines what is left, and the image's label
        `dev.chassis.exclude` records the patterns. Layers of wheels are then the image's own, shared with no other.
      labels: labels of the image.
      model_key: label of a private key, such as an encrypted `cosign.key`: the model's files and data are signed in the build, as
        OpenSSF's model signing has it, and the server loads them only as they were signed if `CHASSIS_MODEL_KEY` is set
        (docs/trust.md).
      user: who the server runs as, `uid:gid`.
      ports: ports that the image declares, such as `45000/tcp`; those of `servers` if it is left out.
      python: the image's Python, such as `3.13`; if it is left out, what the platform says (`//platforms/python`), else
        the flag `--@chassis//rules:python`. Its base, wheels, bytecode and pickle follow, see docs/python.md.
      requirements: the set of requirements that the model's wheels come from, of a hub with `sets`: `"fraud"`.
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
    if type(python) == "string":
        check_python("chassis_image(name = %r)" % name, python)
    check_requirements("chassis_image(name = %r)" % name, requirements)
    if workers < 0 or workers > MAX_WORKERS:
        fail("chassis_image(name = %r): workers = %d: expected 0 to %d processes of the model" % (name, workers, MAX_WORKERS))
    for name_of_server in servers:
        if name_of_server not in SERVER_PORTS:
            fail("chassis_image(name = %r): servers: %r is not one of %s" % (name, name_of_server, ", ".join(SERVER_PORTS)))
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
    kwargs = kwargs | {"target_compatible_with": kwargs.get("target_compatible_with", []) + for_linux()}
    _chassis_image(
        name = name,
        accelerator = target_accelerator(),
        accuracy = accuracy,
        annotations = annotations,
        architecture = target_architecture(),
        base_python_version = base_python_version or "",
        cpu = target_cpu(),
        cpu_features = cpu_features,
        doctor_allow = doctor_allow,
        env = chosen | env,
        exclude = exclude,
        labels = labels,
        model_key = model_key,
        ports = ports,
        user = user,
        wheel_layers = wheel_layers,
        workers = workers,
        **(kwargs | image_parts("chassis_image(name = %r)" % name, python, requirements, {"base": base, "model": model, "server": model_server}))
    )

    # Made when they are asked for: of a thousand images they would be as much to look at again as the images.
    for_people = kwargs | {"tags": kwargs.get("tags", []) + ["manual"]}
    doctor_report(name = name + ".doctor", image = ":" + name, **for_people)
    image_explain(name = name + ".explain", image = name, **for_people)
    image_serve(name = name + ".serve", image = name, **for_people)
    attestation_targets(name, **kwargs)
