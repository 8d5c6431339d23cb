"""python_proto: messages and gRPC stubs of one .proto file, by grpcio-tools."""

_DOC = """Compiles `x.proto` to `x_pb2.py` and `x_pb2_grpc.py`, importable by the package's own name."""

_ATTRS = {
    "src": attr.label(mandatory = True, allow_single_file = [".proto"], doc = "The .proto file."),
    "_protoc": attr.label(default = "//chassis/tools:protoc", cfg = "exec", executable = True),
}

def _impl(ctx):
    stem = ctx.file.src.basename.removesuffix(".proto")
    outputs = [
        ctx.actions.declare_file(stem + "_pb2.py"),
        ctx.actions.declare_file(stem + "_pb2_grpc.py"),
    ]
    root = outputs[0].path.removesuffix(ctx.label.package + "/" + outputs[0].basename)
    source_root = ctx.file.src.path.removesuffix(ctx.label.package + "/" + ctx.file.src.basename)
    ctx.actions.run(
        executable = ctx.executable._protoc,
        arguments = [
            "-I" + (source_root or "."),
            "--python_out=" + root,
            "--grpc_python_out=" + root,
            ctx.file.src.path,
        ],
        inputs = [ctx.file.src],
        outputs = outputs,
        mnemonic = "PythonProto",
        progress_message = "Compiling %{input}",
    )
    return [DefaultInfo(files = depset(outputs))]

python_proto = rule(implementation = _impl, attrs = _ATTRS, doc = _DOC)
