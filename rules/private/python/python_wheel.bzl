"""python_wheel: first-party Python modules as a wheel for pip."""

load("@rules_python//python:py_info.bzl", "PyInfo")
load("//rules/private/tools:names.bzl", "names")

_DOC = """A wheel of pure Python: the modules that `roots` import, out of the sources of `deps`. The same bytes for the same sources."""

_ATTRS = {
    "data": attr.label_list(allow_files = True, doc = "Files to pack as they are, such as `py.typed`."),
    "deps": attr.label_list(mandatory = True, providers = [PyInfo], doc = "Libraries that have the modules."),
    "distribution": attr.string(mandatory = True, doc = "The distribution's name."),
    "extras": attr.string_list_dict(doc = "Extra to what it requires beyond."),
    "requires": attr.string_list(doc = "What it requires, such as `urllib3`."),
    "roots": attr.string_list(mandatory = True, doc = "The modules that its users import."),
    "summary": attr.string(doc = "A sentence about it."),
    "version": attr.string(mandatory = True, doc = "The version."),
    "_pack_wheel": attr.label(default = "//chassis/tools:pack_wheel", cfg = "exec", executable = True),
}

def _impl(ctx):
    own = [
        file
        for file in depset(transitive = [dep[PyInfo].transitive_sources for dep in ctx.attr.deps]).to_list()
        # Wheels that the libraries need are named in `requires`.
        if names.repository_of(file) == ctx.label.repo_name and not file.is_directory and file.extension == "py"
    ]
    wheel = ctx.actions.declare_file("%s-%s-py3-none-any.whl" % (ctx.attr.distribution, ctx.attr.version))
    args = ctx.actions.args()
    args.use_param_file("--flagfile=%s")
    args.set_param_file_format("multiline")
    for file in own:
        args.add("--file=%s=%s" % (names.path_in_repository(file), file.path))
    for file in ctx.files.data:
        args.add("--data=%s=%s" % (names.path_in_repository(file), file.path))
    for root in ctx.attr.roots:
        args.add("--root=" + root)
    for text in ctx.attr.requires:
        args.add("--requires=" + text)
    for extra, texts in ctx.attr.extras.items():
        args.add("--extra=" + extra)
        for text in texts:
            args.add("--requires=%s; extra == '%s'" % (text, extra))
    args.add("--distribution=" + ctx.attr.distribution)
    args.add("--version=" + ctx.attr.version)
    args.add("--summary=" + ctx.attr.summary)
    args.add("--output=" + wheel.path)
    ctx.actions.run(
        executable = ctx.executable._pack_wheel,
        arguments = [args],
        inputs = own + ctx.files.data,
        outputs = [wheel],
        mnemonic = "PackWheel",
        progress_message = "Packing wheel %{label}",
    )
    return [DefaultInfo(files = depset([wheel]))]

python_wheel = rule(implementation = _impl, attrs = _ATTRS, doc = _DOC)
