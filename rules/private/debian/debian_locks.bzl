"""debian_locks: the command that makes the locks of a base and renews them, and the test that says when they are stale."""

load("//rules/private/declaration:declared.bzl", "DEFAULT_PYTHON", "PYTHONS")
load("//rules/private/platform:machine.bzl", "runs_on_this_machine")
load("//rules/private/python:python_tool.bzl", "python_test", "python_tool")
load(":debian_pythons.bzl", "ARCHITECTURES")

def _bases(name, suite, python_version, packages, architectures):
    """The locks of Chassis' base that the packages are added to."""
    if suite and python_version:
        fail("debian_locks %s: suite and python_version: name the release, or the Python whose base the packages are added to" % name)
    if suite:
        if not packages:
            fail("debian_locks %s: packages is empty, and suite = %r has no others" % (name, suite))
        return []
    version = python_version or DEFAULT_PYTHON
    known = [version for version, (_, _, release) in PYTHONS.items() if release]
    if version not in known:
        fail("debian_locks %s: python_version = %r: Chassis has a base with %s; for another name its release, such as suite = \"trixie\", and all packages" % (
            name,
            version,
            ", ".join(known),
        ))
    return [Label("//base_images:%s_%s.lock" % (PYTHONS[version][2], architecture)) for architecture in architectures]

def debian_locks(
        name,
        packages,
        python_version = None,
        suite = None,
        exclude = [],
        architectures = ARCHITECTURES,
        lock = "{architecture}.lock",
        tags = [],
        visibility = None):
    """The locks of a base of Debian packages: `bazel run //base:locks` makes the first ones and renews them, `bazel test //base:locks.test` says when they are stale.

    ```starlark
    debian_locks(
        name = "locks",
        packages = ["libgl1", "libglib2.0-0"],  # beside those of Chassis' own base
    )
    ```

    `debian.packages` of `@chassis//rules:extensions.bzl` makes a repository of a lock, and `debian_base` a base of it.
    `bazel run //base:locks -- --check` says which locked packages have a security update, and writes nothing.

    Args:
      name: the command's name.
      packages: Debian's names of packages. What they depend on is locked with them.
      python_version: the Python of images, such as `"3.11"`, to whose base in Chassis the packages are added; by default that of
        images which name none.
      suite: Debian's release, such as `"trixie"`, for locks of `packages` alone, in place of `python_version`.
      exclude: packages to leave out, with what they alone depend on.
      architectures: what to lock for: `amd64`, `arm64`.
      lock: the locks' file names, with `{architecture}` in them if there are several.
      tags: of both targets.
      visibility: of both targets.
    """
    for architecture in architectures:
        if architecture not in ARCHITECTURES:
            fail("debian_locks %s: %r is not an architecture; those are: %s" % (name, architecture, ", ".join(ARCHITECTURES)))
    if len(architectures) > 1 and "{architecture}" not in lock:
        fail("debian_locks %s: lock = %r is one file for %d architectures: write {architecture} into it" % (name, lock, len(architectures)))
    package = native.package_name()
    files = {architecture: lock.replace("{architecture}", architecture) for architecture in architectures}
    arguments = ["--target=//%s:%s" % (package, name)]
    arguments += ["--suite=" + suite] if suite else []
    arguments += ["--package=" + one for one in packages] + ["--exclude=" + one for one in exclude]
    arguments += [
        "--lock=%s=%s" % (architecture, package + "/" + file if package else file)
        for architecture, file in files.items()
    ]
    common = {
        "deps": [
            Label("//chassis/debian:renewal"),
            Label("//chassis/command_line:run"),
        ],
        "main": Label("//chassis/tools:debian_locks.py"),
        "path_args": _bases(name, suite, python_version, packages, architectures),
        "tags": tags,
        "visibility": visibility,
    }
    python_tool(
        name = name,
        target_compatible_with = runs_on_this_machine(),
        tool_args = arguments,
        **common
    )
    python_test(
        name = name + ".test",
        size = "small",
        data = native.glob(files.values(), allow_empty = True),
        tool_args = arguments + ["--stale"],
        **common
    )
