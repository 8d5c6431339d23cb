"""What a hub of wheels is told: its attributes, and which lock they name for which platform."""

load("//rules/private/declaration:declared.bzl", "PYTHONS")
load("//rules/private/locks:lock_target.bzl", "LOCK_PLATFORMS", "LOCK_VARIANTS")
load(":wheel_repository.bzl", "CROSS_BUILD_ATTRS")

# For the extension's tag class and its WORKSPACE twin.
HUB_ATTRS = CROSS_BUILD_ATTRS | {
    "any_python": attr.bool(
        doc = "The wheels are for programs of the build and not for images: no Python of images chooses between them. On a platform that " +
              "no lock is for, what depends on them is incompatible, so that `bazel build //...` passes over it.",
    ),
    "extras": attr.string_list_dict(
        doc = "For `uv.lock` and `pylock.toml`: the project's extras to install. The key is `all`, an accelerator (`none`, `cuda`) or " +
              "a platform: `{\"all\": [\"serve\"], \"none\": [\"cpu\"], \"cuda\": [\"cu130\"]}`.",
    ),
    "fetch_from": attr.string(
        default = "index",
        doc = "`index`: files come from the indexes that pip is configured with, through Bazel's downloader, its repository cache and " +
              "`--distdir`, with the credentials of pip's configuration and netrc; pip itself fetches what that cannot. `lock`: the same, " +
              "but from the addresses in a `uv.lock` or `pylock.toml` first. `pip`: pip alone.",
        values = ["index", "lock", "pip"],
    ),
    "groups": attr.string_list_dict(
        doc = "For `uv.lock` and `pylock.toml`: the project's dependency groups to install, with keys as for `extras`.",
    ),
    "index_url": attr.string(
        doc = "The index to fetch from, in place of those that pip is configured with; credentials still come from pip's configuration and netrc.",
    ),
    "index_urls": attr.string_dict(doc = "The index of single distributions, such as `{\"torch\": \"https://wheels.example/cpu\"}`."),
    "lock": attr.label(doc = "One lock for all of `platforms`: requirements with hashes, `uv.lock` or `pylock.toml`."),
    "locks": attr.label_keyed_string_dict(
        doc = "Each lock with its platform, linux_amd64, linux_amd64_gpu, linux_arm64 or linux_arm64_gpu, or with several of them " +
              "(`\"linux_amd64 linux_arm64\"`).",
    ),
    "platforms": attr.string_list(doc = "The platforms of `lock`, or of each lock of `sets`; by default all of them."),
    "pythons": attr.string_list(
        doc = "The versions of Python that the locks are for, such as `[\"3.13\", \"3.14\"]`. By default the version that a lock's header names, " +
              "and for other locks each that Chassis brings: images of the others say what is missing. A key of `locks` may name one " +
              "platform and version as well: `\"//:amd64_py314.txt\": \"linux_amd64_py314\"`.",
    ),
    "sets": attr.string_keyed_label_dict(
        doc = "In place of `lock`: sets of requirements, each with its own lock for `platforms`: " +
              "`{\"fraud\": \"//fraud:requirements.txt\", \"vision\": \"//vision:uv.lock\"}`. An image names its set with `requirements`. " +
              "Keys of `extras` and `groups` may be sets, too.",
    ),
    "without": attr.string_list_dict(
        doc = "Requirements that a distribution declares and is to go without, whether the lock has them or not: " +
              "`{\"xgboost\": [\"nvidia-nccl-cu12\"]}` where models run on one machine. The doctor reports each as waived.",
    ),
    "renew": attr.string(doc = "The command that errors name to renew the locks; by default the one that the lock itself names, or `bazel run //:locks`."),
}

def hub_options(
        any_python = False,
        build_hub = "chassis_build",
        build_requires = {},
        cross_build = [],
        extras = {},
        fetch_from = "index",
        groups = {},
        index_url = "",
        index_urls = {},
        lock = None,
        locks = {},
        platforms = [],
        pythons = [],
        renew = "",
        sets = {},
        without = {}):
    """HUB_ATTRS' values, for an extension that has no tags.

    Args:
      any_python: as in HUB_ATTRS.
      build_hub: the apparent name of a hub that the same extension makes, or the canonical name, `@@…`, of any.
      build_requires: this and all below: as in HUB_ATTRS.
      cross_build: as there.
      extras: as there.
      fetch_from: as there.
      groups: as there.
      index_url: as there.
      index_urls: as there.
      lock: as there.
      locks: as there.
      platforms: as there.
      pythons: as there.
      renew: as there.
      sets: as there.
      without: as there.

    Returns:
      A struct of them.
    """
    return struct(
        any_python = any_python,
        build_hub = build_hub,
        build_requires = build_requires,
        cross_build = cross_build,
        extras = extras,
        fetch_from = fetch_from,
        groups = groups,
        index_url = index_url,
        index_urls = index_urls,
        lock = lock,
        locks = locks,
        platforms = platforms,
        pythons = pythons,
        renew = renew,
        sets = sets,
        without = without,
    )

def hub_locks(attr, describe):
    """The locks of a hub as its attributes name them.

    Args:
      attr: HUB_ATTRS' values, with `name` or `hub`.
      describe: the hub, for errors.

    Returns:
      dict from set of requirements to a list of (label, [platform]); the one set of a hub without sets is "".
    """
    platforms_of_all = attr.platforms or LOCK_PLATFORMS.keys()
    pairs = [(label, platforms.replace(",", " ").split(" ")) for label, platforms in attr.locks.items()]
    pairs = [(label, [platform for platform in platforms if platform]) for label, platforms in pairs]
    if attr.lock:
        pairs.append((attr.lock, platforms_of_all))
    elif attr.platforms and not attr.sets:
        fail("hub %s: `platforms` goes with `lock`; `locks` names the platforms itself" % describe)
    if pairs and attr.sets:
        fail("hub %s: give either `sets` or `lock` and `locks`" % describe)
    sets = {name: [(label, platforms_of_all)] for name, label in attr.sets.items()}
    if pairs:
        sets = {"": pairs}
    if not sets:
        fail("hub %s: it needs a lock: lock = \"//:requirements.txt\"" % describe)
    for python in attr.pythons:
        if python not in PYTHONS:
            fail("hub %s: pythons: %r: an image can have %s" % (describe, python, ", ".join(PYTHONS)))
    for name, pairs in sets.items():
        if "__" in name or not name.replace("_", "").replace("-", "").isalnum() and name:
            fail("hub %s: %r is not the name of a set: letters, digits, - and _ are" % (describe, name))
        _check_platforms(pairs, describe)
    for option in ("extras", "groups"):
        for key in getattr(attr, option):
            if key not in LOCK_PLATFORMS and key not in LOCK_VARIANTS and key not in ("all", "none", "cuda") and key not in attr.sets:
                fail("hub %s: %s = {%r: …}: expected `all`, an accelerator (none, cuda), a platform (%s) or a set" % (
                    describe,
                    option,
                    key,
                    ", ".join(LOCK_PLATFORMS),
                ))
    return sets

def _check_platforms(pairs, describe):
    owners = {}
    for label, platforms in pairs:
        for platform in platforms:
            if platform not in LOCK_PLATFORMS and platform not in LOCK_VARIANTS:
                fail("hub %s: %s is not a platform of a wheel lock; those are: %s, and with a Python such as linux_amd64_py314" % (
                    describe,
                    platform,
                    ", ".join(LOCK_PLATFORMS),
                ))
            if platform in owners:
                fail("hub %s: two locks for %s: %s and %s" % (describe, platform, owners[platform], label))
            owners[platform] = label
