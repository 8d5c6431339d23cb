"""The doctor's actions: the facts of each layer, once, and what they say of an image."""

load("//rules/private/tools:names.bzl", "names")
load("//rules/private/tools:persistent_worker.bzl", "run_in_worker")
load("//rules/providers:doctor_info.bzl", "DoctorInfo")
load(":doctor_codes.bzl", "DOCTOR_CODES")

# For rules whose layers go into images.
FACTS_ATTRS = {
    "_layer_facts": attr.label(default = "//chassis/tools:layer_facts", cfg = "exec", executable = True),
}

# For rules that make images.
DOCTOR_ATTRS = FACTS_ATTRS | {
    "cpu_features": attr.string_list(),
    "doctor_allow": attr.string_dict(),
    "_doctor": attr.label(default = "//chassis/tools:doctor", cfg = "exec", executable = True),
}

# The image's label that records what was waived and why (chassis/doctor/waivers.py).
DOCTOR_LABEL = "dev.chassis.doctor.allow"

def _facts_action(ctx, output, flags, inputs, what):
    args = ctx.actions.args()
    for flag, value in flags.items():
        args.add_all([value], format_each = "--" + flag + "=%s", expand_directories = False)
    args.add(output, format = "--output=%s")
    run_in_worker(
        ctx,
        args,
        flag_file = "@%s",
        executable = ctx.attr._layer_facts[DefaultInfo].files_to_run,
        inputs = inputs,
        outputs = [output],
        mnemonic = "LayerFacts",
        progress_message = "Facts of " + what,
    )
    return output

def layer_facts(ctx, name, blob, descriptor, origin):
    """The facts of a layer: one action, whatever images the layer is in.

    Args:
      ctx: context of a rule or an aspect with `FACTS_ATTRS`.
      name: what the output is called before `.facts.json`.
      blob: File, see LayerInfo.
      descriptor: File, see LayerInfo.
      origin: for people, see LayerInfo.

    Returns:
      The File of facts.
    """
    output = ctx.actions.declare_file(name + ".facts.json")
    return _facts_action(ctx, output, {"blob": blob, "descriptor": descriptor}, [blob, descriptor], origin)

def _facts_of(ctx, layer, name):
    """The facts of a layer, made here if a rule that knows nothing of the doctor made the layer."""
    if hasattr(layer, "facts"):
        return layer.facts
    return layer_facts(ctx, name, layer.blob, layer.descriptor, layer.origin)

def _check_allowed(ctx):
    for key, reason in ctx.attr.doctor_allow.items():
        if key.partition(":")[0].partition("(")[0] not in DOCTOR_CODES:
            fail("\n%s: doctor_allow: %r is neither a code nor CODE:path-pattern nor CODE(subject). Codes: %s (docs/doctor.md)" % (
                ctx.label,
                key,
                ", ".join(DOCTOR_CODES),
            ))
        if not reason.strip():
            fail("\n%s: doctor_allow: %r has no reason: say why it is right to ship it" % (ctx.label, key))

def waivers(ctx, wheels):
    """What an image waives: its own `doctor_allow`, and what hubs leave out of its wheels.

    Args:
      ctx: context of a rule with `DOCTOR_ATTRS`.
      wheels: list of WheelInfo.

    Returns:
      A dict from key to reason; fails if one is not as it should be.
    """
    _check_allowed(ctx)
    left_out = {
        "PY001(%s)" % needed: "left out of what %s requires by `without` of its hub" % wheel.distribution
        for wheel in wheels
        for needed in getattr(wheel, "without", [])
    }
    return left_out | ctx.attr.doctor_allow

def doctor_labels(allow):
    """The labels that record an image's waivers."""
    return {DOCTOR_LABEL: json.encode(allow)} if allow else {}

def _doctor_action(ctx, spec, inputs, mnemonic, outputs):
    args = ctx.actions.args()
    args.add(spec)
    for flag, file in outputs.items():
        args.add(file, format = "--" + flag + "=%s")
    run_in_worker(
        ctx,
        args,
        executable = ctx.executable._doctor,
        inputs = inputs,
        outputs = outputs.values(),
        mnemonic = mnemonic,
        progress_message = "Examining %{label}",
    )

def examine(ctx, config, variant, layers, base_files, base, allow):
    """Examines an image.

    Args:
      ctx: context of a rule with `DOCTOR_ATTRS` and the attributes `accelerator`, `architecture` and `cpu`.
      config: the image's `config`, as `//chassis/tools:image_layout` takes it.
      variant: the platform's, "" for none.
      layers: list of LayerInfo, lowest first.
      base_files: list of File, the first of them the base's OCI layout directory; none if its layers are among `layers`.
      base: Label, the base's, for people.
      allow: what `waivers` returned.

    Returns:
      (DoctorInfo, OutputGroupInfo): the group `doctor` has the report, `_validation` fails if there are findings.
    """
    name = ctx.label.name
    facts = [_facts_of(ctx, layer, "%s.%d" % (name, number)) for number, layer in enumerate(layers)]
    base_facts = None
    if base_files:
        base_facts = _facts_action(
            ctx,
            ctx.actions.declare_file(name + ".base.facts.json"),
            {"architecture": ctx.attr.architecture, "layout": base_files[0]},
            base_files,
            str(base),
        )
    spec = "--spec=" + json.encode({
        "accelerator": ctx.attr.accelerator,
        "allow": allow,
        "architecture": ctx.attr.architecture,
        "base_facts": base_facts.path if base_facts else None,
        "cmd": config["cmd"],
        "cpu": ctx.attr.cpu,
        "entrypoint": config["entrypoint"],
        "env": config["env"],
        "facts": [file.path for file in facts],
        "features": ctx.attr.cpu_features,
        "labels": config["labels"],
        "name": names.label_for_people(ctx.label),
        "variant": variant,
    })
    info = DoctorInfo(
        facts = facts,
        findings = ctx.actions.declare_file(name + ".doctor.findings"),
        json = ctx.actions.declare_file(name + ".doctor.json"),
        report = ctx.actions.declare_file(name + ".doctor.txt"),
    )
    inputs = facts + ([base_facts] if base_facts else [])
    _doctor_action(ctx, spec, inputs, "DoctorReport", {
        "findings": info.findings,
        "json": info.json,
        "report": info.report,
    })

    # An action of its own fails, so that the report can be read when there are findings: whoever wants it has it made.
    passed = ctx.actions.declare_file(name + ".doctor.passed")
    _doctor_action(ctx, spec, inputs, "ImageDoctor", {"passed": passed})
    groups = OutputGroupInfo(
        _validation = depset([passed]),
        doctor = depset([info.report, info.json, info.findings]),
    )
    return info, groups
