"""Repositories of pinned Debian packages: the `.deb` files themselves, or their files unpacked to run from."""

load("//rules/private/declaration:declared.bzl", "LOADERS", "MACHINES")
load("//rules/private/tools:host_machine.bzl", "linux_architecture")
load("//rules/private/tools:repository_process.bzl", "link_program", "make_modes_plain", "run_bare")
load(":debian_lock.bzl", "debian_lock")
load(":debian_mirror.bzl", "debian_mirror")

def _fetch(rctx, lock):
    """Downloads every package of a lock, side by side, and checks it.

    Returns:
      The lock's packages, and those of them that could not be had with their URLs.
    """
    if not rctx.path(lock).exists:
        fail("//%s:%s does not exist yet: make it with its debian_locks, such as `bazel run //%s:locks`" % (lock.package, lock.name, lock.package))
    text = rctx.read(lock)
    packages = debian_lock.parse(text, str(lock))
    if type(packages) == "string":
        fail(packages)
    mirror = debian_mirror.find(rctx)
    downloads = []
    for package in packages:
        archive = debian_mirror.holding(mirror, package.path, rctx.os.environ.get("CHASSIS_DEBIAN_SECURITY_MIRROR"))
        if not archive:
            fail("%s %s (//%s:%s, line %d) is a security update, and no archive of those is beside the mirror %s\n" % (
                package.name,
                package.version,
                lock.package,
                lock.name,
                package.line,
                mirror,
            ) + "Name one with --repo_env=CHASSIS_DEBIAN_SECURITY_MIRROR=<URL>.")
        url = archive + "/" + package.path.replace("+", "%2b").replace("~", "%7e")
        downloads.append((package, url, rctx.download(
            url = [url],
            output = "packages/" + package.name + ".deb",
            sha256 = package.sha256,
            allow_fail = True,
            block = False,
        )))
    return packages, [(package, url) for package, url, download in downloads if not download.wait().success]

def _fetch_all(rctx):
    """The packages of `lock`, every one of them there."""
    packages, missing = _fetch(rctx, rctx.attr.lock)
    for package, url in missing:
        _explain(rctx, package, url)
    return packages

def _explain(rctx, package, url):
    """Fails with what was wanted. Only Bazel's own warning, printed before, says why it could not be fetched."""
    fail("%s %s (//%s:%s, line %d): %s did not give the file of the lock; Bazel's warning above says why.\n" % (
             package.name,
             package.version,
             rctx.attr.lock.package,
             rctx.attr.lock.name,
             package.line,
             url,
         ) +
         "  other bytes (it names both checksums): if the lock's line is right, do not trust the file\n" +
         "  not found: the mirror has moved on; renew the lock with: %s\n" % debian_lock.renewal(rctx.read(rctx.attr.lock)) +
         "  not reachable: " + debian_mirror.remedy)

_LOCK_ATTRS = {
    "lock": attr.label(
        mandatory = True,
        allow_single_file = True,
        doc = "The lock: one package a line, `name version sha256:HEX pool/path.deb`.",
    ),
}

def _packages_impl(rctx):
    packages = _fetch_all(rctx)
    rctx.file("BUILD.bazel", """\
package(default_visibility = ["//visibility:public"])

exports_files(glob(["packages/*.deb"]))

# In the lock's order.
filegroup(
    name = "packages",
    srcs = [
%s    ],
)
""" % "".join(['        "packages/%s.deb",\n' % package.name for package in packages]))
    make_modes_plain(rctx)

debian_packages = repository_rule(
    implementation = _packages_impl,
    attrs = _LOCK_ATTRS,
    doc = "The `.deb` files of a lock, as `//:packages`.",
)

# Finds its root beside itself, so that it runs from an external directory, a sandbox or a runfiles tree alike. If it is not
# there, it is where Bazel before 8.3 stages a directory of the runfiles for a remote engine: where the execution root has it.
_LAUNCHER = """\
#!/bin/sh
root="${{0%/*}}/root"
{elsewhere}{environment}exec "$root/{loader}" --argv0 "$0" \\
  --library-path "$root/lib/{triplet}:$root/usr/lib/{triplet}" \\
  "$root/{program}" "$@"
"""

_ELSEWHERE = """\
if [ ! -e "$root" ]; then
  case "$0" in
  */bazel-out/*) root=${{0%%/bazel-out/*}}/external/{repository}/root ;;
  *) root=external/{repository}/root ;;
  esac
fi
"""

# What stands for a program that a moving suite no longer has. The status is EX_UNAVAILABLE of sysexits.h.
_MISSING = """\
#!/bin/sh
echo "{program}: the mirror does not have {packages}, which {lock} names" >&2
echo "  renew the lock with: bazel run //base_images:update" >&2
echo "  or have it from a mirror that has them: CHASSIS_DEBIAN_MIRROR=URL bazel fetch --force --repo=@@{repository}" >&2
exit 69
"""

# Absolute links (Bazel unpacks them with the root's own path before them) become relative ones into the root, and links
# to nothing go: a root is an input of actions, and Bazel takes neither kind to a remote cache.
_KEEP_LINKS_INSIDE = """\
cd "$1" || exit
find . -type l | while IFS= read -r link; do
  target=$(readlink "$link")
  case "$target" in
  /*)
    target=${target#"$1"}
    up=$(printf %s "${link%/*}" | sed 's#^[.]##; s#/[^/]*#../#g')
    ln -sfn "$up${target#/}" "$link" || exit
    ;;
  esac
done || exit
find . -type l | while IFS= read -r link; do
  if [ ! -e "$link" ]; then rm "$link" || exit; fi
done
"""

def _keep_links_inside(rctx):
    done = run_bare(rctx, ["sh", "-c", _KEEP_LINKS_INSIDE, "sh", rctx.path("root")])
    if done.return_code:
        fail("%s: the links of the unpacked packages of %s: %s" % (rctx.name, rctx.attr.lock, done.stderr))

# Programs look for these under absolute paths of the machine's, never in a root: time zones, authorities, character sets,
# manuals, settings. They would be two files in three of what every action that Python runs has as its input.
_NEVER_READ = [
    "etc",
    "usr/lib/binfmt.d",
    "usr/sbin",
] + [
    "usr/lib/%s/%s" % (triplet, directory)
    for triplet, _ in LOADERS.values()
    for directory in ["engines-3", "gconv", "krb5"]
]
_WHEELS = "root/usr/share/python-wheels"

def _reduce_python(rctx):
    """Leaves of a Python's packages what it can find, and pip as a directory."""
    for wheel in rctx.path(_WHEELS).readdir() if rctx.path(_WHEELS).exists else []:
        if wheel.basename.startswith("pip-"):
            rctx.symlink(wheel, "pip.zip")
            rctx.extract("pip.zip", output = "pip")
    rctx.delete("pip.zip")
    for path in _NEVER_READ:
        rctx.delete("root/" + path)
    for path in rctx.path("root/usr/share").readdir():
        if path != rctx.path(_WHEELS):
            rctx.delete(path)

def _host_interpreter(rctx, architecture):
    """An interpreter of the release of this root that this machine runs: its own, that of the root for the other CPU, or None."""
    host = linux_architecture(rctx)
    name = rctx.attr.programs.keys()[0]
    if host == architecture:
        return rctx.path(name)
    if host and rctx.attr.other_cpu:
        return rctx.path(Label("@@%s%s//:%s" % (rctx.name.removesuffix(rctx.attr.own_name), rctx.attr.other_cpu, name)))
    return None

def _compile_python(rctx, python):
    """What Debian's scripts would do, or Python on its first run if it could write here: bytecode. It is the same on every CPU."""
    home = "root/" + rctx.attr.pythonhome
    command = [python, "-m", "compileall", "-q", "-q", "-j", "0", "--invalidation-mode", "unchecked-hash"]

    # The root is an input of every action that Python runs, so a cache that machines share wants the same bytes of each:
    # no path of this one, and sets in one order. A module keeps the name that its bytecode has when it is imported from an
    # archive, and the pickle of a function that a library made has that name, so it has no directory, wherever that is.
    library = [path for path in rctx.path(home + "/lib").readdir() if path.basename.startswith("python3.")][0]
    command += ["-s", str(library)]
    rctx.report_progress("compiling the standard library")

    # Files that do not compile are there on purpose (lib2to3's test data): the status is then 1.
    pip = [rctx.path("pip")] if rctx.path("pip").exists else []
    done = run_bare(rctx, command + [rctx.path(home + "/lib")] + pip)
    if done.return_code not in [0, 1]:
        fail("%s: the standard library was not compiled (status %d): %s" % (rctx.name, done.return_code, done.stderr))
    rctx.report_progress("packing the standard library")
    done = run_bare(rctx, [python, "-S", rctx.path(rctx.attr._few_files), rctx.path("root"), rctx.attr.pythonhome])
    if done.return_code:
        fail("%s: the standard library was not packed (status %d): %s" % (rctx.name, done.return_code, done.stderr))

def _loader(rctx):
    """The architecture that the root's programs are for, its name in Debian's directories, and the loader's path."""
    for architecture, (triplet, loader) in LOADERS.items():
        # Where releases before and after trixie have it.
        for directory in ["lib", "usr/lib"]:
            path = "%s/%s/%s" % (directory, triplet, loader)
            if rctx.path("root/" + path).exists:
                return architecture, triplet, path
    fail("%s: no package of %s holds the loader that its programs run with; add libc6" % (rctx.name, rctx.attr.lock))

def _missing(rctx, program, missing):
    return _MISSING.format(
        lock = "//%s:%s" % (rctx.attr.moving_lock.package, rctx.attr.moving_lock.name),
        packages = " ".join([package.name + " " + package.version for package, _ in missing]),
        program = program.rpartition("/")[2],
        repository = rctx.name,
    )

def _root_impl(rctx):
    packages, missing = _fetch_all(rctx), []
    if rctx.attr.moving_lock:
        moving, missing = _fetch(rctx, rctx.attr.moving_lock)
        absent = [package.name for package, _ in missing]
        packages = packages + [package for package in moving if package.name not in absent]
    for package in packages:
        rctx.extract("packages/%s.deb" % package.name, output = "unpacked/" + package.name)
        archives = [
            path
            for path in rctx.path("unpacked/" + package.name).readdir()
            if path.basename.startswith("data.tar")
        ]
        if len(archives) != 1:
            fail("%s: %s.deb holds %d data archives, expected one" % (rctx.attr.lock, package.name, len(archives)))
        rctx.extract(archives[0], output = "root")
        rctx.delete("unpacked/" + package.name)
    rctx.delete("unpacked")
    rctx.delete("packages")
    if rctx.attr.pythonhome:
        _reduce_python(rctx)
    _keep_links_inside(rctx)
    environment = ""
    if rctx.attr.pythonhome:
        environment = 'export PYTHONHOME="$root/%s"\n' % rctx.attr.pythonhome
    for name, program in rctx.attr.programs.items():
        if not rctx.path("root/" + program).exists:
            if missing:
                rctx.file(name, _missing(rctx, program, missing), executable = True)
                continue
            fail("%s: no package of %s holds %s" % (rctx.name, rctx.attr.lock, program))
        _, triplet, loader = _loader(rctx)
        rctx.file(name, _LAUNCHER.format(
            elsewhere = "" if rctx.attr.pythonhome else _ELSEWHERE.format(repository = rctx.name),
            environment = environment,
            loader = loader,
            program = program,
            triplet = triplet,
        ), executable = True)
    if rctx.attr.pythonhome:
        architecture, _, _ = _loader(rctx)
        interpreter = _host_interpreter(rctx, architecture)
        if not interpreter:
            return _write_uncompiled(rctx, architecture)
        _compile_python(rctx, interpreter)
    for name, program in rctx.attr.static_programs.items():
        if not rctx.path("root/" + program).exists:
            fail("%s: no package of %s holds %s" % (rctx.name, rctx.attr.lock, program))
        link_program(rctx, "root/" + program, name)
    return _write_root(rctx)

# Of a Python that this machine does not run: an action compiles its library.
_UNCOMPILED = """\
load("@chassis//rules/private/debian:compiled_python.bzl", "compiled_python", "python_launcher")

package(default_visibility = ["//visibility:public"])

_LINUX = [
    "@platforms//os:linux",
    "@platforms//cpu:%s",
]

compiled_python(
    name = "root",
    exec_compatible_with = _LINUX,
    launcher = "python_as_it_came",
    pythonhome = %r,
    root = glob(["root/**"], exclude = ["root/lib64/**", "root/usr/share/**"]),
    target_compatible_with = _LINUX,
)

python_launcher(
    name = "python",
    launcher = "python_as_it_came",
    target_compatible_with = _LINUX,
)

filegroup(
    name = "files",
    srcs = [":root"],
)
"""

# pip of a Python.
_PIP = """
# pip as a directory to import from, if the root has Debian's python3-pip-whl.
filegroup(
    name = "pip_package",
    srcs = glob(["pip"], allow_empty = True, exclude_directories = 0),
)

# And as it came.
filegroup(
    name = "pip_wheel",
    srcs = glob(["root/usr/share/python-wheels/pip-*.whl"], allow_empty = True),
)
"""

def _write_uncompiled(rctx, architecture):
    rctx.file("python_as_it_came", rctx.read("python"), executable = True)
    rctx.file("BUILD.bazel", _UNCOMPILED % (MACHINES[architecture], rctx.attr.pythonhome) + _PIP)
    make_modes_plain(rctx)

def _write_root(rctx):
    rctx.file("BUILD.bazel", """\
package(default_visibility = ["//visibility:public"])

exports_files(%r)

# What its programs read. Of a Python these are few files, each an input; of anything else one directory, which a sandbox
# links as a whole.
filegroup(
    name = "files",
    srcs = %s,
)
""" % (
        rctx.attr.programs.keys() + rctx.attr.static_programs.keys() + ["root"],
        'glob(["root/**"], exclude = ["root/lib64/**", "root/usr/share/**"])' if rctx.attr.pythonhome else '["root"]',
    ) + _PIP)
    make_modes_plain(rctx)

debian_root = repository_rule(
    implementation = _root_impl,
    attrs = _LOCK_ATTRS | {
        "moving_lock": attr.label(
            allow_single_file = True,
            doc = "A second lock, of a suite that moves on, such as testing. If the mirror does not have its packages any more, their programs say so and exit with status 69.",
        ),
        "other_cpu": attr.string(
            doc = "With `pythonhome`: the repository, made beside this one, of the same Python for the other CPU. It compiles the library on a machine that does not run this one.",
        ),
        "own_name": attr.string(doc = "With `other_cpu`: the repository's apparent name."),
        "programs": attr.string_dict(
            doc = "Launchers to make: name to the program's path in the root, such as `usr/bin/skopeo`. Each runs with the root's own loader and libraries, whatever the machine's.",
        ),
        "_few_files": attr.label(default = "//chassis/fetching:few_files.py"),
        "pythonhome": attr.string(doc = "Where the root's Python has its `lib/python3.x`, such as `usr`; empty without Python."),
        "static_programs": attr.string_dict(doc = "Statically linked programs to export by name, such as `usr/bin/qemu-aarch64-static`: they need no launcher."),
    },
    doc = "The packages of a lock, unpacked but not installed, with launchers for their programs (Linux, of the CPU that the lock is for).",
)
