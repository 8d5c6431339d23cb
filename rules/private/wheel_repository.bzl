"""The repositories of a wheel lock: a wheel as it is, its closure of dependencies, and the hub that selects by platform."""

load(":repository_process.bzl", "make_modes_plain", "run_fetching")
load(":wheel_closure.bzl", "wheel_closure")
load(":wheel_lock.bzl", "PLATFORMS", "wheel_lock")

# The environment that pip's configuration can stand in.
_PIP_ENVIRON = ["PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_CONFIG_FILE", "PIP_FIND_LINKS", "PIP_NO_INDEX"]

# The largest value of an integer attribute.
_MOST_INT = (1 << 31) - 1

_RENEW = "Renew the lock: bazel run //requirements:update"

# What a hub is told of building wheels from source; for the extension's tag class and its WORKSPACE twin.
CROSS_BUILD_ATTRS = {
    "build_hub": attr.string(
        default = "chassis_build",
        doc = "The hub that has what sdists are built with: backends, Cython, headers.",
    ),
    "build_requires": attr.string_list_dict(
        doc = "What the build of a distribution needs beyond its pyproject.toml, from the build hub: `{\"annoy\": [\"nose\"]}`.",
    ),
    "cross_build": attr.string_list(
        doc = "The distributions that may be built from their sdist, for the target, where the lock or the index has no wheel of them.",
    ),
}

def file_repository_name(hub, platform, distribution):
    """The apparent name of the repository that holds a wheel."""
    return "__".join([hub, platform, distribution.replace("-", "_"), "whl"])

def closure_repository_name(hub, platform, distribution):
    """The apparent name of the repository that holds a wheel together with what it depends on."""
    return "__".join([hub, platform, distribution.replace("-", "_")])

def _fetch(rctx, tool, more):
    """Runs a tool that fetches the locked file; returns its result."""
    attr = rctx.attr
    arguments = [
        rctx.path(attr._python),
        rctx.path(tool),
        "--requirement",
        "%s==%s" % (attr.distribution, attr.version),
        "--machine",
        PLATFORMS[attr.platform],
        "--output",
        rctx.path("."),
    ] + more
    for sha256 in attr.hashes:
        arguments += ["--hash", sha256]
    pip = rctx.path(attr._python).dirname.get_child("pip")
    rctx.report_progress("fetching %s==%s" % (attr.distribution, attr.version))
    return run_fetching(rctx, arguments, {"PYTHONPATH": str(pip)})

def _reasons(rctx):
    """What the exit status of a tool means."""
    attr = rctx.attr
    return {
        3: "pip could not reach its index. It is configured with `pip config`, PIP_INDEX_URL or a proxy of the machine's.",
        4: ("the index has no wheel of it for this platform (CPython 3.11, glibc %s, %s) that the lock's hashes allow. %s. " +
            "Where the index has only its sources, lock the sdist and name it in `cross_build` of the hub, " +
            "and the wheel is built from them") % (attr.glibc, PLATFORMS[attr.platform], _RENEW),
        5: "the index's file differs from the lock's hash. If the lock is right, do not trust the file; otherwise: %s" % _RENEW,
        6: "the file is broken.",
    }

def _file_impl(rctx):
    """One wheel, or the sdist to build it from, fetched by pip, and its metadata."""
    attr = rctx.attr
    what = "wheel %s==%s for %s (%s, line %d)" % (attr.distribution, attr.version, attr.platform, attr.lock, attr.line)
    if attr.sdist and not attr.cross_build:
        fail(("%s: the lock holds its sdist, %s, and no wheel. Name it in the hub, cross_build = [%r], to have the wheel " +
              "built from it for the target; or lock a version that has a wheel") % (what, attr.sdist, attr.distribution))
    is_sdist = bool(attr.sdist)
    if not is_sdist:
        result = _fetch(rctx, attr._fetch_wheel, ["--glibc", attr.glibc])
        is_sdist = result.return_code == 4 and attr.cross_build
    if is_sdist:
        result = _fetch(rctx, attr._fetch_sdist, [])
    if result.return_code:
        reason = _reasons(rctx).get(result.return_code, "it could not be fetched.")
        fail("%s: %s\n%s" % (what, reason, result.stderr.strip()))
    metadata = json.decode(rctx.read("metadata.json"))
    if metadata["name"] != attr.distribution:
        fail("%s: its metadata names another distribution, %s" % (what, metadata["name"]))
    rctx.file("BUILD.bazel", (_BUILD_FROM_SDIST if is_sdist else _BUILD).format(
        build_deps = json.encode(_build_deps(rctx, metadata) if is_sdist else []),
        distribution = json.encode(attr.distribution),
        file = json.encode(metadata["file"]),
        lock = json.encode("%s, line %d" % (attr.lock, attr.line)),
        size = 0 if is_sdist else min(metadata["size"], _MOST_INT),
        version = json.encode(attr.version),
    ))
    make_modes_plain(rctx)

_BUILD = """\
load("@chassis//rules/private:wheel.bzl", "wheel")

package(default_visibility = ["//visibility:public"])

# For the tool that unpacks wheels: it can need none unpacked.
filegroup(
    name = "file",
    srcs = [{file}],
)

wheel(
    name = "wheel",
    src = ":file",
    distribution = {distribution},
    lock = {lock},
    size = {size},
    version = {version},
)
"""

_BUILD_FROM_SDIST = """\
load("@chassis//rules/private:chassis_wheel.bzl", "wheel_from_source")

package(default_visibility = ["//visibility:public"])

filegroup(
    name = "file",
    srcs = [{file}],
)

wheel_from_source(
    name = "wheel",
    build_deps = {build_deps},
    distribution = {distribution},
    lock = {lock},
    sdist = ":file",
    version = {version},
)
"""

def _build_deps(rctx, metadata):
    """Labels of what the sdist is built with, as far as the build hub has it: the build says what is missing."""
    prefix = rctx.name.removesuffix(rctx.attr.own_name)
    names = json.decode(rctx.read(Label("@@%s//:distributions.json" % (prefix + rctx.attr.build_hub))))
    wanted = metadata["build_requires"] + rctx.attr.build_requires
    return ["@%s//%s" % (rctx.attr.build_hub, name) for name in sorted({name: None for name in wanted}) if name in names]

wheel_file_repository = repository_rule(
    implementation = _file_impl,
    attrs = {
        "build_hub": attr.string(),
        "build_requires": attr.string_list(),
        "cross_build": attr.bool(),
        "distribution": attr.string(mandatory = True),
        "glibc": attr.string(default = "2.36"),
        "hashes": attr.string_list(mandatory = True),
        "line": attr.int(mandatory = True),
        "lock": attr.string(mandatory = True),
        "own_name": attr.string(mandatory = True),
        "platform": attr.string(mandatory = True, values = PLATFORMS.keys()),
        "sdist": attr.string(),
        "version": attr.string(mandatory = True),
        "_fetch_sdist": attr.label(default = "//chassis/tools:fetch_sdist.py"),
        "_fetch_wheel": attr.label(default = "//chassis/tools:fetch_wheel.py"),
        "_python": attr.label(default = "@chassis_python//:python"),
    },
    environ = _PIP_ENVIRON,
    doc = "One locked wheel, as a file or as the sdist that it is built from, and its metadata.",
)

def _sibling(rctx, name):
    """The canonical label of `metadata.json` in a repository made beside this one."""
    return Label("@@%s//:metadata.json" % (rctx.name.removesuffix(rctx.attr.own_name) + name))

def _closure_impl(rctx):
    attr = rctx.attr
    closure = wheel_closure(
        attr.distribution,
        lambda name: json.decode(rctx.read(_sibling(rctx, file_repository_name(attr.hub, attr.platform, name)))),
        attr.locked,
    )
    if type(closure) == "string":
        fail("%s on %s, which the lock does not hold: %s. %s" % (closure, attr.platform, attr.lock, _RENEW))
    wheels = [
        "        %r,\n" % ("@%s//:wheel" % file_repository_name(attr.hub, attr.platform, name))
        for name in closure
    ]
    rctx.file("BUILD.bazel", """\
load("@chassis//rules/private:distribution.bzl", "distribution")

package(default_visibility = ["//visibility:public"])

distribution(
    name = "distribution",
    wheels = [
%s    ],
)
""" % "".join(wheels))

wheel_closure_repository = repository_rule(
    implementation = _closure_impl,
    attrs = {
        "distribution": attr.string(mandatory = True),
        "hub": attr.string(mandatory = True),
        "lock": attr.string(mandatory = True),
        "locked": attr.string_list(mandatory = True, doc = "Every distribution of the lock."),
        "own_name": attr.string(mandatory = True, doc = "The repository's apparent name."),
        "platform": attr.string(mandatory = True),
    },
    doc = "A distribution with all that its metadata says it depends on, on one platform.",
)

def _hub_impl(rctx):
    """`@hub//name` for each distribution of any lock; a platform without it fails with what is missing where."""
    everywhere = {}
    for platform, names in rctx.attr.distributions.items():
        for name in names:
            everywhere.setdefault(name, []).append(platform)
    for name, platforms in everywhere.items():
        build = ['load("@chassis//rules/private:missing_distribution.bzl", "missing_distribution")\n']
        arms = []
        for platform in sorted(rctx.attr.distributions):
            if platform in platforms:
                target = "@%s//:distribution" % closure_repository_name(rctx.attr.hub, platform, name)
            else:
                target = ":missing_on_" + platform
                build.append("missing_distribution(name = %r, distribution = %r, platform = %r, lock = %r, found_in = %r)\n" % (
                    "missing_on_" + platform,
                    name,
                    platform,
                    rctx.attr.locks[platform],
                    [rctx.attr.places["%s %s" % (other, name)] for other in sorted(platforms)],
                ))
            arms.append("        %r: %r,\n" % ("@chassis//platforms:is_" + platform, target))
        for alias in dict([(name, None), (name.replace("-", "_"), None)]):
            rctx.file(alias + "/BUILD.bazel", "\n".join(build) + """
package(default_visibility = ["//visibility:public"])

alias(
    name = %r,
    actual = select({
%s    }, no_match_error = %r),
)
""" % (alias, "".join(arms), "@%s has no lock for this platform; it has: %s. A chassis_model that is built for one of these needs none for the build machine with pickle_on = \"target\"" % (rctx.attr.hub, ", ".join(sorted(rctx.attr.locks)))))
    rctx.file("BUILD.bazel", "")
    rctx.file("distributions.json", json.encode(sorted(everywhere)))

wheel_hub_repository = repository_rule(
    implementation = _hub_impl,
    attrs = {
        "distributions": attr.string_list_dict(mandatory = True, doc = "Platform to the names in its lock."),
        "hub": attr.string(mandatory = True),
        "locks": attr.string_dict(mandatory = True, doc = "Platform to its lock's name."),
        "places": attr.string_dict(mandatory = True, doc = "`platform name` to `lock, line N`."),
    },
    doc = "The hub: `@hub//name` selects the wheel of the target platform.",
)

def wheel_repositories(name, locks, read, build_hub = "chassis_build", build_requires = {}, cross_build = []):
    """Makes the repositories of a hub.

    Args:
      name: the hub's apparent name.
      locks: dict from a lock's label to its platform, one of `PLATFORMS`.
      read: function from a lock's label to its text (a module extension's or a repository rule's `read`).
      build_hub: see CROSS_BUILD_ATTRS.
      build_requires: see CROSS_BUILD_ATTRS.
      cross_build: see CROSS_BUILD_ATTRS.
    """
    buildable = [wheel_lock.normalize(distribution) for distribution in cross_build]
    more = {wheel_lock.normalize(distribution): wanted for distribution, wanted in build_requires.items()}
    distributions = {}
    names = {}
    places = {}
    for lock, platform in locks.items():
        if platform not in PLATFORMS:
            fail("hub %s: %s is no platform of a wheel lock; those are: %s" % (name, platform, ", ".join(PLATFORMS)))
        if platform in names:
            fail("hub %s: two locks for %s: %s and %s" % (name, platform, names[platform], lock))
        file = "//%s:%s" % (lock.package, lock.name)
        requirements = wheel_lock.parse(read(lock), file, platform)
        if type(requirements) == "string":
            fail(requirements)
        names[platform] = file
        distributions[platform] = sorted(requirements)
        for requirement in requirements.values():
            places["%s %s" % (platform, requirement.name)] = "%s, line %d" % (file, requirement.line)
            file_name = file_repository_name(name, platform, requirement.name)
            wheel_file_repository(
                name = file_name,
                build_hub = build_hub,
                build_requires = [wheel_lock.normalize(wanted) for wanted in more.get(requirement.name, [])],
                cross_build = requirement.name in buildable,
                distribution = requirement.name,
                hashes = requirement.hashes,
                line = requirement.line,
                lock = file,
                own_name = file_name,
                platform = platform,
                sdist = requirement.sdist,
                version = requirement.version,
            )
            own_name = closure_repository_name(name, platform, requirement.name)
            wheel_closure_repository(
                name = own_name,
                distribution = requirement.name,
                hub = name,
                lock = file,
                locked = sorted(requirements),
                own_name = own_name,
                platform = platform,
            )
    everything = [distribution for found in distributions.values() for distribution in found]
    for distribution in buildable + more.keys():
        if distribution not in everything:
            fail("hub %s: %s is to be built, and stands in none of its locks: %s" % (name, distribution, ", ".join(names.values())))
    wheel_hub_repository(
        name = name,
        distributions = distributions,
        hub = name,
        locks = names,
        places = places,
    )
