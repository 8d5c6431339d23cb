"""What macros can say of a label that names a distribution: whether its hub has it, and what may have been meant."""

load("@chassis_hubs//:hubs.bzl", "HUBS")
load("//rules/private/declaration:declared.bzl", "IMPORT_NAMES")
load("//rules/private/locks:nearest_names.bzl", "nearest_names")
load(":hubs_repository.bzl", "locks_marker")

def _problem(label):
    """What is wrong with a label of a hub, or None; None for every other label."""
    hub = HUBS.get(label.repo_name)
    if not hub or not hub["names"]:
        return None
    asked = label.package
    if not asked or asked.replace("_", "-") in hub["names"] or asked in IMPORT_NAMES:
        return None
    near = nearest_names(asked, sorted(hub["names"] + [name.lower() for name in IMPORT_NAMES]))
    meant = {}
    for name in near:
        for imported, distributions in IMPORT_NAMES.items():
            if imported.lower() == name:
                meant.update({distribution: None for distribution in distributions})
        if name in hub["names"]:
            meant[name] = None
    lines = ["@%s//%s: no lock of @%s has it" % (hub["name"], asked, hub["name"])]
    if meant:
        lines.append("the nearest: " + ", ".join(["@%s//%s" % (hub["name"], name) for name in meant]))
    return "\n  ".join(lines + ["or add it to the requirements and run: %s" % hub["renew"]])

def check_dependencies(what, deps):
    """Fails if a label names a distribution that its hub does not have.

    Args:
      what: the rule and its target, for the error.
      deps: labels as they were written; a `select` is left to Bazel.
    """
    for dep in deps if type(deps) == "list" else []:
        problem = _problem(native.package_relative_label(dep))
        if problem:
            fail("%s: %s" % (what, problem))

def where_locked(deps):
    """Passes over a target for platforms and Pythons that a hub of its dependencies has no lock for at all.

    A distribution that the lock of a platform lacks stays an error there.

    Args:
      deps: labels as they were written; a `select` is left to Bazel.

    Returns:
      A value for `target_compatible_with`.
    """
    hubs = {}
    for dep in deps if type(deps) == "list" else []:
        repository = native.package_relative_label(dep).repo_name
        if repository in HUBS and HUBS[repository]["platforms"]:
            hubs[repository] = HUBS[repository]["platforms"]
    found = []
    for repository, platforms in hubs.items():
        found = found + select({
            Label("//platforms/python:is_" + platform): []
            for platform in platforms
        } | {"//conditions:default": [Label("@@%s//:%s" % (repository, locks_marker(platforms).name))]})
    return found

def check_requirements(what, requirements):
    """Fails if no hub has a set of requirements.

    Args:
      what: the rule and its target, for the error.
      requirements: the set's name; "" for none.
    """
    known = {name: None for hub in HUBS.values() for name in hub["sets"]}
    if requirements and HUBS and requirements not in known:
        fail("%s: requirements = %r: %s" % (
            what,
            requirements,
            "the hubs' sets are %s" % ", ".join(known) if known else "no hub has `sets`",
        ))
