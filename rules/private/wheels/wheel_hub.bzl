"""The hub of wheel locks: `@pypi//numpy` is the wheel of the target platform, whatever lock it comes from."""

load("//rules/private/declaration:declared.bzl", "PYTHONS")
load("//rules/private/locks:lock_target.bzl", "LOCK_PLATFORMS", "LOCK_VARIANTS", "lock_target", "lock_variant")
load("//rules/private/locks:python_name.bzl", "normalize_name")
load("//rules/private/locks:wheel_lock.bzl", "wheel_lock")
load(":hubs_repository.bzl", "HUB_FILE", "hub_description", "locks_marker")
load(":lock_pythons.bzl", "lock_pythons")
load(":missing_distribution.bzl", "import_packages", "missing_distribution_build")
load(":wheel_closure.bzl", "wheel_closure")
load(
    ":wheel_repository.bzl",
    "closure_repository_name",
    "file_repository_name",
    "wheel_closure_repository",
    "wheel_file_repository",
)

_DEFAULT_RENEW = "bazel run //:locks"

# What dependents of a hub find on a machine, or for a platform, that no hub can have a lock for.
_OTHER_MACHINE = "@chassis//platforms/toolchains:other_machine"

def _arm(attr, platform, target):
    """An arm of the select of a distribution."""
    if attr.any_python:
        return "        %r: %r,\n" % ("@chassis//platforms:is_%s_any" % LOCK_VARIANTS[platform].platform, target)
    return "        %r: %r,\n" % ("@chassis//platforms/python:is_" + platform, target)

def _other_pythons(attr):
    """For each Python that no lock of a platform is for, the name of the platform with it, to what errors say of it."""
    locked = {}
    for variant in sorted(attr.locks):
        locked.setdefault(LOCK_VARIANTS[variant].platform, {})[LOCK_VARIANTS[variant].minor] = attr.renew[variant]
    return {
        lock_variant(platform, python): {
            "hub": attr.shown,
            "locked_pythons": [version for version in PYTHONS if version in renewals],
            "platform": platform,
            "python": python,
            "renew": renewals.values()[0],
        }
        for platform, renewals in locked.items()
        for python in PYTHONS
        if python not in renewals
    }

def _distribution_build(attr, alias, name, found_in, other_pythons):
    """The BUILD file of `@hub//name`, under the spelling `alias`."""
    targets, arms = [], []
    for platform in sorted(attr.distributions):
        key = "%s %s" % (platform, name)
        if key in attr.problems:
            targets.append(missing_distribution_build.target("broken_on_" + platform, name, {
                "platform": platform,
                "problem": attr.problems[key],
                "renew": attr.renew[platform],
            }))
            arms.append(_arm(attr, platform, ":broken_on_" + platform))
        elif platform in found_in:
            arms.append(_arm(attr, platform, "@%s//:distribution" % closure_repository_name(attr.hub, platform, name)))
        else:
            targets.append(missing_distribution_build.target("missing_on_" + platform, name, {
                "found_in": [found_in[other] for other in sorted(found_in)],
                "listed": name in attr.listed,
                "lock": attr.locks[platform],
                "platform": platform,
                "renew": attr.renew[platform],
            }))
            arms.append(_arm(attr, platform, ":missing_on_" + platform))
    for variant, attributes in other_pythons.items():
        targets.append(missing_distribution_build.target("missing_on_" + variant, name, attributes))
        arms.append(_arm(attr, variant, ":missing_on_" + variant))
    arms.append("        %r: %r,\n" % ("//conditions:default" if attr.any_python else "@chassis//platforms:is_other", _OTHER_MACHINE))
    no_match = ("@%s has no lock for this platform; it has: %s. " +
                "Add the platform, such as linux_arm64_gpu, to `platforms` of the hub's wheel_locks, run %s, and name its lock in the hub. " +
                "A chassis_model that is built for one of these needs none for the build machine with pickle_on = \"target\"") % (
        attr.shown,
        ", ".join(sorted(attr.locks)),
        attr.renew[sorted(attr.renew)[0]],
    )
    return missing_distribution_build.head + "\n".join(targets) + """
alias(
    name = %r,
    actual = select({
%s    }, no_match_error = %r),
)
""" % (alias, "".join(arms), no_match)

def _hub_impl(rctx):
    """`@hub//name` for each distribution of any lock; a platform without it fails with what is missing where."""
    attr = rctx.attr
    everywhere = {}
    for platform, names in attr.distributions.items():
        for name in names:
            everywhere.setdefault(name, {})[platform] = attr.places["%s %s" % (platform, name)]
    for name in attr.listed:
        everywhere.setdefault(name, {})
    if not everywhere and attr.unreadable:
        fail("@%s has no packages: %s" % (attr.shown, "\n".join(attr.unreadable)))
    other_pythons = {} if attr.any_python else _other_pythons(attr)
    for name, found_in in everywhere.items():
        for alias in dict([(name, None), (name.replace("-", "_"), None)]):
            rctx.file(alias + "/BUILD.bazel", _distribution_build(attr, alias, name, found_in, other_pythons))
    import_packages(rctx, everywhere, attr.renew[sorted(attr.renew)[0]])
    platforms = [] if attr.any_python else attr.locks.keys()
    rctx.file("BUILD.bazel", locks_marker(platforms).build)
    rctx.file("distributions.json", json.encode(sorted(everywhere)))
    rctx.file(HUB_FILE, hub_description(attr.shown, everywhere, attr.renew[sorted(attr.renew)[0]], platforms))

wheel_hub_repository = repository_rule(
    implementation = _hub_impl,
    attrs = {
        "any_python": attr.bool(),
        "distributions": attr.string_list_dict(mandatory = True, doc = "Platform to the names in its lock."),
        "hub": attr.string(mandatory = True),
        "listed": attr.string_list(doc = "Every name that a lock of more than one platform has, whether it holds for any or not."),
        "locks": attr.string_dict(mandatory = True, doc = "Platform to its lock's name."),
        "places": attr.string_dict(mandatory = True, doc = "`platform name` to `lock, line N`."),
        "problems": attr.string_dict(doc = "`platform name` to why the lock's pin of it cannot be used."),
        "renew": attr.string_dict(mandatory = True, doc = "Platform to the command that renews its lock."),
        "shown": attr.string(mandatory = True, doc = "What people write for the hub; a set's hub is shown as the one that has it."),
        "unreadable": attr.string_list(doc = "What is wrong with locks that cannot be read at all, for a hub that has no package to say it."),
    },
    doc = "The hub: `@hub//name` selects the wheel of the target platform.",
)

def _closure_of_lock(name, pins, extras, problems, without):
    """The closure of a distribution if the lock has the graph; an error as a string."""
    return wheel_closure(
        name,
        lambda needed: {"requires": pins[needed].requires, "version": pins[needed].version},
        pins,
        extras,
        problems,
        without,
    )

def _identity(pin, platform, index):
    """What makes the file of a pin the same in two sets of requirements."""
    return repr([platform, pin.name, pin.version, sorted(pin.hashes), pin.wheel, pin.sdist, pin.url, index])

def wheel_repositories(name, sources, options, requirements = "", made = {}, shown = ""):
    """Makes the repositories of a hub, or of one of its sets of requirements.

    Args:
      name: the hub's apparent name.
      sources: list of (what lock_source.bzl made, [platform]).
      options: HUB_ATTRS' values.
      requirements: the set's name, "" for a hub without sets.
      made: the repositories of files that other sets of the hub have: what is the same is there once. Gets those of this one.
      shown: what people write for the hub; by default `name`.

    Returns:
      A struct with `names`, every distribution that the hub answers to, `listed`, those of its locks, `locks`, the locks' names,
      `platforms`, those that images can have its wheels for, and `renew`, commands.
    """
    buildable = [normalize_name(distribution) for distribution in options.cross_build]
    more = {normalize_name(distribution): wanted for distribution, wanted in options.build_requires.items()}
    without = {normalize_name(name): [normalize_name(needed) for needed in left] for name, left in options.without.items()}
    indexes = {normalize_name(distribution): url for distribution, url in options.index_urls.items()}
    distributions, names, places, problems, renewals = {}, {}, {}, {}, {}
    listed, universal, unreadable = {}, {}, []
    named = {platform: None for _, platforms in sources for platform in platforms if platform not in LOCK_PLATFORMS}
    for source, platforms in sources:
        read = wheel_lock.read(source)
        for note in read.notes:
            # buildifier: disable=print
            print("hub %s: %s" % (name, note))
        listed.update({distribution: None for distribution in read.names})
        if read.kind != "requirements" or len(platforms) > 1 or read.broken:
            universal.update({distribution: None for distribution in read.names})
        renew = options.renew or read.renew or _DEFAULT_RENEW
        if read.broken:
            unreadable.append("%s\n  renew the lock: %s" % (read.broken, renew))
        for platform in lock_pythons.variants(platforms, options.pythons, read, named):
            if platform in names:
                fail("hub %s: two locks for %s: %s and %s" % (name, platform, names[platform], source.file))
            selected = wheel_lock.select(
                read,
                lock_target(platform),
                wheel_lock.chosen(options.extras, platform, requirements),
                wheel_lock.chosen(options.groups, platform, requirements),
            )
            pins = selected.pins
            names[platform] = source.file
            renewals[platform] = renew
            distributions[platform] = sorted(pins)
            listed.update({distribution: None for distribution in pins})
            universal.update({distribution: None for distribution in selected.problems})
            problems.update({"%s %s" % (platform, key): problem for key, problem in selected.problems.items()})
            other = lock_pythons.of_another(read, platform, options.pythons, named)
            if other:
                problems.update({"%s %s" % (platform, key): other for key in pins.keys() + selected.problems.keys()})
            extras = {pin.name: pin.extras for pin in pins.values() if pin.extras}
            files = {}
            for pin in pins.values():
                index = indexes.get(pin.name, options.index_url)
                own_file = file_repository_name(name, platform, pin.name)
                shared = made.setdefault(_identity(pin, platform, index), own_file)
                if shared != own_file:
                    files[pin.name] = shared
            for pin in pins.values():
                places["%s %s" % (platform, pin.name)] = pin.where
                closure = []
                if pin.requires != None:
                    closure = _closure_of_lock(pin.name, pins, extras, selected.problems, without)
                    if type(closure) == "string":
                        problems["%s %s" % (platform, pin.name)] = closure
                file_name = file_repository_name(name, platform, pin.name)
                if pin.name not in files:
                    wheel_file_repository(
                        name = file_name,
                        build_hub = options.build_hub,
                        build_requires = [normalize_name(wanted) for wanted in more.get(pin.name, [])],
                        cross_build = pin.name in buildable,
                        distribution = pin.name,
                        fetch_from = options.fetch_from,
                        hashes = pin.hashes,
                        index_url = indexes.get(pin.name, options.index_url),
                        own_name = file_name,
                        platform = platform,
                        renew = renew,
                        sdist = pin.sdist,
                        url = pin.url if pin.wheel else "",
                        version = pin.version,
                        wheel = pin.wheel,
                        where = pin.where,
                        without = without.get(pin.name, []),
                    )
                own_name = closure_repository_name(name, platform, pin.name)
                wheel_closure_repository(
                    name = own_name,
                    distribution = pin.name,
                    extras = {} if closure else extras,
                    files = files,
                    hub = name,
                    lock = source.file,
                    locked = [] if closure else distributions[platform],
                    own_name = own_name,
                    platform = platform,
                    problems = {} if closure else selected.problems,
                    renew = renew,
                    without = {} if closure else without,
                    wheels = closure if type(closure) == "list" else [],
                )
    wheel_hub_repository(
        name = name,
        any_python = options.any_python,
        distributions = distributions,
        hub = name,
        listed = sorted(universal),
        locks = names,
        places = places,
        problems = problems,
        renew = renewals,
        shown = shown or name,
        unreadable = unreadable,
    )
    answered = {pinned: None for pins in distributions.values() for pinned in pins} | universal
    return struct(
        names = sorted(answered),
        listed = sorted(listed),
        locks = names.values(),
        platforms = [] if options.any_python else names.keys(),
        renew = renewals.values(),
    )

def check_named(name, options, listed, locks):
    """Fails if a hub's options name a distribution that none of its locks has.

    Args:
      name: the hub's name.
      options: HUB_ATTRS' values.
      listed: every distribution of its locks; nothing is checked if there is none yet.
      locks: the locks' names.
    """
    for distribution in options.cross_build + options.build_requires.keys() + options.index_urls.keys() + options.without.keys():
        if listed and normalize_name(distribution) not in listed:
            fail("hub %s: %s is named for it, and none of its locks has it: %s" % (name, distribution, ", ".join(locks)))
