"""Hubs with several sets of requirements: `@pypi//numpy` is the one of the set that the image names."""

load(":hubs_repository.bzl", "HUB_FILE", "hub_description", "locks_marker")
load(":missing_distribution.bzl", "import_packages", "missing_distribution_build")
load(":wheel_hub.bzl", "check_named", "wheel_repositories")

# What images, tests and the command line choose a set with, in repositories of the extension.
_FLAG = "@chassis//rules:requirements"

def _set_hub(hub, requirements):
    """The apparent name of the hub of one set."""
    return "%s__%s" % (hub, requirements)

def _distribution_build(attr, alias, name):
    """The BUILD file of `@hub//name`, under the spelling `alias`."""
    owners = [requirements for requirements in attr.sets if name in attr.names[requirements]]
    arms, targets = [], []
    for requirements in attr.sets:
        if requirements in owners:
            arms.append("        %r: %r,\n" % ("//:set_" + requirements, "@%s//%s" % (_set_hub(attr.hub, requirements), alias)))
        else:
            targets.append(missing_distribution_build.target("missing_in_" + requirements, name, {
                "hub": attr.hub,
                "renew": attr.renew[requirements],
                "requirements": requirements,
                "sets": owners,
            }))
            arms.append("        %r: %r,\n" % ("//:set_" + requirements, ":missing_in_" + requirements))
    arms.append("        %r: %r,\n" % ("//:no_set", "@%s//%s" % (_set_hub(attr.hub, owners[0]), alias)))
    no_match = "@%s has no such set of requirements; it has: %s" % (attr.hub, ", ".join(attr.sets))
    return missing_distribution_build.head + "\n".join(targets) + """
alias(
    name = %r,
    actual = select({
%s    }, no_match_error = %r),
)
""" % (alias, "".join(arms), no_match)

def _impl(rctx):
    attr = rctx.attr
    rctx.file("BUILD.bazel", "package(default_visibility = [\"//visibility:public\"])\n" + "".join([
        "\nconfig_setting(\n    name = %r,\n    flag_values = {%r: %r},\n)\n" % ("set_" + name if name else "no_set", _FLAG, name)
        for name in attr.sets + [""]
    ]) + locks_marker(attr.platforms).build)
    everywhere = {name: None for names in attr.names.values() for name in names}
    for name in everywhere:
        for alias in dict([(name, None), (name.replace("-", "_"), None)]):
            rctx.file(alias + "/BUILD.bazel", _distribution_build(attr, alias, name))
    import_packages(rctx, everywhere, attr.renew[attr.sets[0]])
    rctx.file("distributions.json", json.encode(sorted(everywhere)))
    rctx.file(HUB_FILE, hub_description(attr.shown, everywhere, attr.renew[attr.sets[0]], attr.platforms, attr.sets))

_sets_repository = repository_rule(
    implementation = _impl,
    attrs = {
        "hub": attr.string(mandatory = True, doc = "Its apparent name."),
        "names": attr.string_list_dict(mandatory = True, doc = "Set to the distributions of its lock."),
        "platforms": attr.string_list(doc = "Those that a set has a lock for."),
        "renew": attr.string_dict(mandatory = True, doc = "Set to the command that renews its lock."),
        "shown": attr.string(mandatory = True, doc = "What people write for the hub."),
        "sets": attr.string_list(mandatory = True, doc = "The sets, in the order in which they count if none is chosen."),
    },
    doc = "A hub of several sets: `@hub//name` selects by the flag `//rules:requirements`.",
)

def wheel_sets(name, sets, options):
    """Makes the repositories of a hub.

    Args:
      name: the hub's apparent name.
      sets: dict from set of requirements, "" for the one of a hub without sets, to a list of (what lock_source.bzl made, [platform]).
      options: HUB_ATTRS' values.

    Returns:
      What hubs_repository.bzl takes of the hub, as JSON.
    """
    made = {}
    hubs = {
        requirements: wheel_repositories(
            _set_hub(name, requirements) if requirements else name,
            sources,
            options,
            requirements,
            made,
            name,
        )
        for requirements, sources in sets.items()
    }
    check_named(
        name,
        options,
        {listed: None for hub in hubs.values() for listed in hub.listed},
        [lock for hub in hubs.values() for lock in hub.locks],
    )
    platforms = {platform: None for hub in hubs.values() for platform in hub.platforms}.keys()
    if "" not in sets:
        _sets_repository(
            name = name,
            hub = name,
            names = {requirements: hub.names for requirements, hub in hubs.items()},
            platforms = platforms,
            renew = {requirements: hub.renew[0] for requirements, hub in hubs.items()},
            sets = list(sets),
            shown = name,
        )
    return hub_description(
        name,
        {known: None for hub in hubs.values() for known in hub.names},
        hubs.values()[0].renew[0],
        platforms,
        [requirements for requirements in sets if requirements],
    )
