"""The layer with the signature of a model's files."""

load(":layer.bzl", "files_layer")

MODEL_SIGNATURE_ATTRS = {
    "model_key": attr.label(allow_single_file = True),
    "_files_layer": attr.label(default = "//chassis/tools:files_layer", cfg = "exec", executable = True),
    "_sign_model": attr.label(default = "//chassis/tools:sign_model", cfg = "exec", executable = True),
}

def model_signature(ctx, layers):
    """Makes the layer with /app/model.sig, if there is a key.

    Args:
      ctx: context of a rule with `MODEL_SIGNATURE_ATTRS` and `LAYER_ATTRS`.
      layers: list of LayerInfo, those of the model.

    Returns:
      A list of LayerInfo, of one or none.
    """
    key = ctx.file.model_key
    if not key:
        return []
    signature = ctx.actions.declare_file(ctx.label.name + ".model.sig")
    args = ctx.actions.args()
    args.add_all([layer.files for layer in layers], format_each = "--files=%s")
    args.add(key, format = "--key=%s")
    args.add(signature, format = "--output=%s")
    ctx.actions.run(
        executable = ctx.executable._sign_model,
        arguments = [args],
        # A key goes to no other machine, nor into a cache that others read.
        execution_requirements = {"no-remote": "1"},
        inputs = [key] + [layer.files for layer in layers],
        outputs = [signature],
        mnemonic = "SignModel",
        progress_message = "Signature of the model of %{label}",
        toolchain = None,
        # For `--action_env=COSIGN_PASSWORD`.
        use_default_shell_env = True,
    )
    return [files_layer(
        ctx,
        ctx.label.name + ".signature",
        ctx.attr._files_layer[DefaultInfo].files_to_run,
        "model",
        "",
        {"app/model.sig": signature},
    )]
