"""wheel_locks: the command that makes a hub's locks and renews them, and the test that says when they are stale."""

load("//rules/private/locks:lock_target.bzl", "LOCK_PLATFORMS", "LOCK_VARIANTS")
load("//rules/private/platform:machine.bzl", "runs_on_this_machine")
load("//rules/private/python:python_tool.bzl", "python_test", "python_tool")

def _path(label):
    """A file's path in the workspace: `x.in` of this package, or `//package:x.in`."""
    if label.startswith("//"):
        package, _, name = label[2:].partition(":")
        return (package + "/" if package else "") + (name or package.rpartition("/")[2])
    package = native.package_name()
    return (package + "/" if package else "") + label.removeprefix(":")

def _list(value):
    return [value] if type(value) == "string" else list(value)

def _requirements_of(name, requirements, platform):
    """The requirements of one platform."""
    if type(requirements) != "dict":
        return _list(requirements)
    known = LOCK_VARIANTS[platform]
    for key in (platform, known.platform, known.accelerator, "all"):
        if key in requirements:
            return _list(requirements[key])
    fail("wheel_locks %s: requirements has nothing for %s: expected a key %s, %s or all" % (
        name,
        platform,
        platform,
        known.accelerator,
    ))

def _agrees_with(made, platform):
    """Of the locks made before, the one whose versions count: of the same accelerator, or else the first."""
    same = [file for other, file in made.items() if LOCK_VARIANTS[other].accelerator == LOCK_VARIANTS[platform].accelerator]
    return (same or made.values() or [None])[0]

def _check_arguments(name, requirements, platforms, lock):
    for platform in platforms:
        if platform not in LOCK_VARIANTS:
            fail("wheel_locks %s: %s is not a platform; those are: %s, and with a Python such as linux_amd64_py314" % (
                name,
                platform,
                ", ".join(LOCK_PLATFORMS),
            ))
    if type(lock) == "dict":
        if sorted(lock) != sorted(platforms):
            fail("wheel_locks %s: lock names files for %s, and platforms are %s" % (name, ", ".join(lock), ", ".join(platforms)))
    elif len(platforms) > 1 and "{platform}" not in lock:
        fail("wheel_locks %s: lock = %r is one file for %d platforms: write {platform} into it" % (name, lock, len(platforms)))
    if type(requirements) == "dict":
        for key in requirements:
            if key not in LOCK_VARIANTS and key not in ("all", "none", "cuda"):
                fail("wheel_locks %s: requirements = {%r: …}: expected `all`, `none`, `cuda` or a platform" % (name, key))

def wheel_locks(
        name,
        requirements,
        hub = "pypi",
        platforms = ["linux_amd64", "linux_arm64"],
        lock = "{platform}.txt",
        includes = [],
        same_versions_as = None,
        sdists = [],
        dependencies = True,
        tags = [],
        visibility = None):
    """The locks of a hub: `bazel run //:locks` makes the first ones and renews them, `bazel test //:locks.test` says when they are stale.

    ```starlark
    wheel_locks(
        name = "locks",
        requirements = {"none": "requirements.in", "cuda": "gpu.in"},
        hub = "pypi",
        includes = ["requirements.in"],  # gpu.in has `-r requirements.in`
        platforms = ["linux_amd64", "linux_arm64", "linux_arm64_gpu"],
    )
    ```

    Versions that are pinned stay. `bazel run //:locks -- --upgrade` takes the newest, `--upgrade_package=numpy` of one
    distribution, `--only=linux_arm64` renews one lock.

    Args:
      name: the command's name.
      requirements: a requirements file, or several; or a dict from `all`, an accelerator (`none`, `cuda`) or a platform to them.
      hub: the hub that the locks are for: `locks = {"//:linux_amd64.txt": "linux_amd64", …}` of `wheels.hub`.
      platforms: what to lock for: of linux_amd64, linux_amd64_gpu, linux_arm64 and linux_arm64_gpu; with a Python that is not
        the default, linux_amd64_py314.
      lock: the locks' file names, with `{platform}` in them if there are several; or a dict from platform to file name.
      includes: files that the requirements include with `-r` or `-c`: the test reads them.
      same_versions_as: a lock whose versions count for what both hold; by default the locks of this target agree with each other.
      sdists: distributions that are locked by their sources, see `cross_build` of the hub.
      dependencies: False for wheels that only files are taken from.
      tags: of both targets.
      visibility: of both targets.
    """
    _check_arguments(name, requirements, platforms, lock)
    target = "//%s:%s" % (native.package_name(), name)
    arguments = ["--target=" + target]
    sources = {label: None for label in includes}
    existing = []
    made = {}
    for platform in platforms:
        inputs = _requirements_of(name, requirements, platform)
        sources.update({label: None for label in inputs})
        file = lock[platform] if type(lock) == "dict" else lock.replace("{platform}", platform)
        existing += native.glob([file], allow_empty = True)
        arguments.append("--plan=" + json.encode({
            "dependencies": dependencies,
            "glibc": LOCK_VARIANTS[platform].glibc,
            "inputs": [_path(label) for label in inputs],
            "machine": LOCK_VARIANTS[platform].machine,
            "output": _path(file),
            "python": LOCK_VARIANTS[platform].python,
            "same_versions_as": _path(same_versions_as) if same_versions_as else _agrees_with(made, platform),
            "sdists": sdists,
        }))
        made[platform] = _path(file)
    deps = [
        Label("//chassis/locking"),
        Label("//chassis/command_line:run"),
    ]
    python_tool(
        name = name,
        main = Label("//chassis/tools:wheel_locks.py"),
        tags = tags + ["chassis_hub=" + hub],
        target_compatible_with = runs_on_this_machine(),
        tool_args = arguments,
        visibility = visibility,
        deps = deps,
    )
    other = [same_versions_as] if same_versions_as else []
    python_test(
        name = name + ".test",
        size = "small",
        data = sources.keys() + existing + other,
        main = Label("//chassis/tools:wheel_locks.py"),
        tags = tags,
        tool_args = arguments + ["--check"],
        visibility = visibility,
        deps = deps,
    )
