"""npm_package: programs of a package of npm's registry, pinned. For tools of this repository's own tests."""

load("//rules/private/tools:host_machine.bzl", "host_cpu")
load("//rules/private/tools:repository_process.bzl", "link_program", "make_modes_plain", "run_bare", "run_fetching")

_DOC = """A package of npm's registry, fetched when something first asks for it, by npm as the machine has it configured:
registry, proxy and credentials are npm's. Its bytes are those that the lock names. `//:NAME` is each of its programs.
On a machine without npm these are incompatible targets, so `bazel test //...` skips what needs them.
"""

_ATTRS = {
    "lock": attr.label(mandatory = True, doc = "One package a line: `name version sha256:HEX`."),
    "package": attr.string(mandatory = True, doc = "The package's name in the lock, such as `@bazel/buildifier`."),
    "programs": attr.string_dict(
        mandatory = True,
        doc = "Name to path in the package, in which `{platform}` is such as `linux_amd64`, the build machine's.",
    ),
}

_BUILD = """\
package(default_visibility = ["//visibility:public"])

exports_files(%s)
"""

# In the place of a program on a machine without npm.
_MISSING = """\
filegroup(
    name = "%s",
    target_compatible_with = ["@platforms//:incompatible"],
    visibility = ["//visibility:public"],
)
"""

def _platform(rctx):
    """The build machine as such packages name it: `linux_amd64`, `darwin_arm64`."""
    system = "darwin" if rctx.os.name.startswith("mac") else rctx.os.name.partition(" ")[0]
    return "%s_%s" % (system, host_cpu(rctx))

def _locked(rctx):
    """Version and SHA-256 of the package."""
    for line in rctx.read(rctx.attr.lock).split("\n"):
        words = line.split(" ")
        if words[0] == rctx.attr.package:
            return words[1], words[2].removeprefix("sha256:")
    fail("%s: %s is not in it" % (rctx.attr.lock, rctx.attr.package))

def _impl(rctx):
    version, sha256 = _locked(rctx)
    npm = rctx.which("npm")
    if not npm:
        # buildifier: disable=print
        print(("%s is fetched with npm, which is not on the PATH: Bazel skips the tests that need it\n" % rctx.attr.package) +
              "  to have them run, install npm (Debian: apt-get install npm)")
        rctx.file("BUILD.bazel", "".join([_MISSING % name for name in rctx.attr.programs]))
        return

    # If npm cannot write to its cache, which is in HOME by default, it tries for ever.
    cache = rctx.path("npm-cache")
    command = [npm, "pack", "--silent", "%s@%s" % (rctx.attr.package, version)]
    fetched = run_fetching(rctx, command, {"npm_config_cache": str(cache)})
    rctx.delete(cache)
    if fetched.return_code:
        fail("npm pack %s@%s failed with status %d:\n%s" % (
            rctx.attr.package,
            version,
            fetched.return_code,
            fetched.stderr + fetched.stdout,
        ))
    archive = rctx.path(fetched.stdout.strip().split("\n")[-1])
    rctx.download_and_extract("file://%s" % archive, sha256 = sha256, stripPrefix = "package")
    rctx.delete(archive)
    for name, path in rctx.attr.programs.items():
        program = path.format(platform = _platform(rctx))
        if not rctx.path(program).exists:
            fail("%s %s has no %s: it has no program for this machine" % (rctx.attr.package, version, program))
        link_program(rctx, program, name)
        run_bare(rctx, ["chmod", "+x", program])
    rctx.file("BUILD.bazel", _BUILD % repr(rctx.attr.programs.keys()))
    make_modes_plain(rctx)

npm_package = repository_rule(implementation = _impl, attrs = _ATTRS, doc = _DOC)
