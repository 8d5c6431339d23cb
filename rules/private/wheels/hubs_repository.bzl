"""hubs_repository: what the hubs of a build hold, for macros, which can name what somebody may have meant."""

HUBS_REPOSITORY = "chassis_hubs"

# What a hub says of itself.
HUB_FILE = "hub.json"

def hub_description(name, names, renew, platforms, sets = []):
    """What HUBS has of a hub, as JSON.

    Args:
      name: what people write for it.
      names: its distributions.
      renew: the command that renews its lock.
      platforms: the platforms with their Pythons, such as `linux_arm64_py310`, that it has a lock for; none if its wheels are for
        programs of the build alone.
      sets: its sets of requirements.

    Returns:
      A string.
    """
    return json.encode({"name": name, "names": sorted(names), "platforms": sorted(platforms), "renew": renew, "sets": sets})

def locks_marker(platforms):
    """What a hub has in its root package for targets that are passed over where it has no lock: no platform has this constraint.

    Args:
      platforms: as of `hub_description`.

    Returns:
      A struct: name, of the constraint, which Bazel shows to who asks for such a target by name; build, text of a BUILD file.
    """
    if not platforms:
        return struct(name = None, build = "")
    name = "has_locks_for_" + "_and_".join(sorted(platforms))
    return struct(name = name, build = """
constraint_setting(
    name = "locks",
    visibility = ["//visibility:private"],
)

constraint_value(
    name = %r,
    constraint_setting = ":locks",
    visibility = ["//visibility:public"],
)
""" % name)

def _impl(rctx):
    prefix = rctx.name.removesuffix(HUBS_REPOSITORY)
    hubs = {prefix + name: json.decode(text) for name, text in rctx.attr.hubs.items()}
    for name in rctx.attr.read_from:
        hubs[name] = json.decode(rctx.read(Label("@@%s//:%s" % (name, HUB_FILE))))
    rctx.file("BUILD.bazel", "exports_files([\"hubs.bzl\"])\n")
    rctx.file("hubs.bzl", '"""Hubs by canonical name: what they are called, their distributions and sets."""\n\nHUBS = %s\n' % repr(hubs))

hubs_repository = repository_rule(
    implementation = _impl,
    attrs = {
        "hubs": attr.string_dict(doc = "A hub's apparent name to what `hub_description` says of it."),
        "read_from": attr.string_list(doc = "In a WORKSPACE: hubs that say so themselves, since nothing there knows all of them."),
    },
    doc = "`@chassis_hubs//:hubs.bzl` has `HUBS`.",
)
