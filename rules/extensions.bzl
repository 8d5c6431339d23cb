"""Module extensions: Debian packages, Pythons of images, wheel hubs and base images from registries. Their twins for WORKSPACE are in repositories.bzl."""

load("//rules/private/debian:debian_pythons.bzl", "debian_pythons")
load("//rules/private/debian:debian_repository.bzl", "debian_packages", "debian_root")
load("//rules/private/declaration:declared.bzl", "PYTHONS")
load("//rules/private/locks:lock_source.bzl", "lock_source")
load("//rules/private/python:pythons_repository.bzl", "neighbours_repository", "pythons_repository")
load("//rules/private/registry:oci_pull.bzl", "PULL_ATTRS", "oci_pull")
load("//rules/private/wheels:hub_attrs.bzl", "HUB_ATTRS", "hub_locks")
load("//rules/private/wheels:hubs_repository.bzl", "HUBS_REPOSITORY", "hubs_repository")
load("//rules/private/wheels:wheel_root.bzl", "WHEEL_ROOT_ATTRS", "wheel_root")
load("//rules/private/wheels:wheel_sets.bzl", "wheel_sets")

def _debian_impl(mctx):
    for module in mctx.modules:
        for tag in module.tags.packages:
            debian_packages(name = tag.name, lock = tag.lock)
        for tag in module.tags.root:
            debian_root(
                name = tag.name,
                lock = tag.lock,
                moving_lock = tag.moving_lock,
                programs = tag.programs,
                pythonhome = tag.pythonhome,
                static_programs = tag.static_programs,
            )

_NAME_AND_LOCK = {
    "lock": attr.label(mandatory = True, doc = "The lock: one package a line, `name version sha256:HEX pool/path.deb`."),
    "name": attr.string(mandatory = True, doc = "The repository's name."),
}

debian = module_extension(
    implementation = _debian_impl,
    tag_classes = {
        "packages": tag_class(attrs = _NAME_AND_LOCK, doc = "The `.deb` files of a lock, for a base image."),
        "root": tag_class(
            attrs = _NAME_AND_LOCK | {
                "moving_lock": attr.label(doc = "A second lock, of a suite that moves on: a program that the mirror no longer has says so when it is run."),
                "programs": attr.string_dict(doc = "Launchers to make: name to path in the root."),
                "pythonhome": attr.string(doc = "Where the root's Python has its library, such as `usr`."),
                "static_programs": attr.string_dict(doc = "Statically linked programs to export: name to path in the root."),
            },
            doc = "The packages of a lock unpacked, to run programs from.",
        ),
    },
    doc = "Pinned Debian packages, from the mirror that the machine's apt is set to or `CHASSIS_DEBIAN_MIRROR`.",
)

def _pythons_impl(mctx):
    own = {}
    for module in mctx.modules:
        named = {}
        for tag in module.tags.image_python:
            if tag.version not in PYTHONS:
                fail("pythons.image_python(version = %r): an image can have %s" % (tag.version, ", ".join(PYTHONS)))
            if tag.version in named:
                fail("module %s names two image_pythons of %s: %s and %s" % (module.name, tag.version, named[tag.version], tag.target))
            named[tag.version] = str(tag.target)

        # The root module is the first.
        own = named | own
    debian_pythons()
    neighbours_repository(name = "chassis_neighbours")
    pythons_repository(name = "chassis_pythons", own = own)

pythons = module_extension(
    implementation = _pythons_impl,
    tag_classes = {
        "image_python": tag_class(
            attrs = {
                "target": attr.label(mandatory = True, doc = "The `image_python`."),
                "version": attr.string(mandatory = True, doc = "Its minor version, such as `3.12`."),
            },
            doc = "An `image_python` of the workspace, for `--@chassis//rules:python` and `chassis_image(python = …)` to choose.",
        ),
    },
    doc = "The Pythons of images: Debian's, of the releases that Chassis brings, and those of the workspace.",
)

def _wheels_impl(mctx):
    owners = {}
    hubs = {}
    for module in mctx.modules:
        for tag in module.tags.hub:
            if tag.name in owners:
                fail("two modules make a wheel hub named %s: %s and %s. Give one another name." %
                     (tag.name, owners[tag.name], module.name))
            owners[tag.name] = module.name
            sets = {
                name: [(lock_source(mctx, label), platforms) for label, platforms in locks]
                for name, locks in hub_locks(tag, tag.name).items()
            }
            hubs[tag.name] = wheel_sets(tag.name, sets, tag)
        for tag in module.tags.root:
            wheel_root(
                name = tag.name,
                distribution = tag.distribution,
                hub = tag.hub,
                keep = tag.keep,
                own_name = tag.name,
                platform = tag.platform,
                strip_prefix = tag.strip_prefix,
            )
    hubs_repository(name = HUBS_REPOSITORY, hubs = hubs)

wheels = module_extension(
    implementation = _wheels_impl,
    tag_classes = {
        "hub": tag_class(
            attrs = HUB_ATTRS | {
                "name": attr.string(mandatory = True, doc = "The hub's name, such as `pypi`."),
            },
            doc = "A hub: `@name//distribution` is the wheel for the target platform, with what it depends on.",
        ),
        "root": tag_class(
            attrs = WHEEL_ROOT_ATTRS | {
                "name": attr.string(mandatory = True, doc = "The repository's name."),
            },
            doc = "A wheel of a hub unpacked when the first target asks for it, for a program to run as it is: `@name//:files`.",
        ),
    },
    doc = "Wheels of the locks that a team has: requirements with hashes, `uv.lock` or `pylock.toml`; fetched with pip as it is configured.",
)

def _oci_impl(mctx):
    owners = {}
    for module in mctx.modules:
        for tag in module.tags.pull:
            if tag.name in owners:
                fail("two modules pull an image named %s: %s and %s. Give one another name." %
                     (tag.name, owners[tag.name], module.name))
            owners[tag.name] = module.name
            oci_pull(
                name = tag.name,
                digest = tag.digest,
                image = tag.image,
                insecure = tag.insecure,
                keys = tag.keys,
                platforms = tag.platforms,
            )

oci = module_extension(
    implementation = _oci_impl,
    tag_classes = {
        "pull": tag_class(
            attrs = PULL_ATTRS,
            doc = "An image of a registry, by digest: `@name` is an OCI layout that `chassis_image(base = …)` takes.",
        ),
    },
    doc = "Base images from registries, with the credentials that people have.",
)
