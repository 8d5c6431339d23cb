"""go_program: a Go program built with Debian's Go and Debian's Go packages."""

_DOC = """A statically linked Go program of one file, which may import what the pinned Debian packages hold."""

_ATTRS = {
    "src": attr.label(mandatory = True, allow_single_file = [".go"], doc = "The file of package main."),
    "_go": attr.label(default = "@chassis_test_go//:go", allow_single_file = True, doc = "The go command."),
    "_root": attr.label(default = "@chassis_test_go//:files", doc = "The unpacked packages."),
}

# Debian's packages are laid out as a GOPATH, without modules.
_COMMAND = """\
root=$PWD/$2/usr
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
env -i CGO_ENABLED=0 GO111MODULE=off GOCACHE="$scratch" GOPATH="$root/share/gocode" GOROOT="$root/lib/go-1.19" \
  HOME="$scratch" PATH=/usr/bin:/bin "$1" build -trimpath -o "$4" "$3"
"""

def _impl(ctx):
    program = ctx.actions.declare_file(ctx.label.name)
    root = ctx.files._root[0]
    ctx.actions.run_shell(
        outputs = [program],
        inputs = [ctx.file.src, ctx.file._go, root],
        command = _COMMAND,
        arguments = [ctx.file._go.path, root.path, ctx.file.src.path, program.path],
        mnemonic = "GoProgram",
        progress_message = "Building %{label} with Go",
    )
    return [DefaultInfo(executable = program, files = depset([program]))]

go_program = rule(implementation = _impl, attrs = _ATTRS, doc = _DOC, executable = True)
