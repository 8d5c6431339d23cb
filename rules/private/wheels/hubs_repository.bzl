"""hubs_repository: what the hubs of a build hold, for macros, which can name what somebody may have meant."""

HUBS_REPOSITORY = "chassis_hubs"

# What a hub says of itself.
HUB_FILE = "hub.json"

def hub_description(name, names, renew, sets = []):
    """What HUBS has of a hub, as JSON.

    Args:
      name: what people write for it.
      names: its distributions.
      renew: the command that renews its lock.
      sets: its sets of requirements.

    Returns:
      A string.
    """
    return json.encode({"name": name, "names": sorted(names), "renew": renew, "sets": sets})

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
