"""A distribution of a hub of rules_python: a `py_library` of the files that the hub unpacked from a wheel."""

load("//rules/private/tools:names.bzl", "names")
load("//rules/providers:wheel_info.bzl", "WheelInfo")

UNPACKED_ATTRS = {
    "_wheel_of_files": attr.label(default = "//chassis/tools:wheel_of_files", cfg = "exec", executable = True),
}

# The tags that rules_python gives its libraries of wheels.
_NAME, _VERSION = "pypi_name=", "pypi_version="

def distribution_of_tags(tags):
    """The distribution that a target says it is, as struct(name, version); None if it is not one."""
    found = {}
    for tag in tags:
        for prefix in [_NAME, _VERSION]:
            if tag.startswith(prefix):
                found[prefix] = tag.removeprefix(prefix)
    if len(found) < 2:
        return None
    return struct(name = found[_NAME].lower().replace("_", "-").replace(".", "-"), version = found[_VERSION])

def _entry(file):
    return "--file=%s=%s" % (names.path_in_repository(file), file.path)

def wheel_of_files(ctx, label, distribution, files):
    """A wheel made of a hub's files, for the layer of a distribution whose own wheel is out of reach.

    Args:
      ctx: context of an aspect with `UNPACKED_ATTRS`.
      label: the target's, for errors about the image.
      distribution: what `distribution_of_tags` found.
      files: list of File.

    Returns:
      A WheelInfo.
    """
    wheel = ctx.actions.declare_file("%s-%s-py3-none-unpacked.whl" % (
        distribution.name.replace("-", "_"),
        distribution.version.replace("-", "_"),
    ))
    args = ctx.actions.args()
    args.use_param_file("--flagfile=%s")
    args.set_param_file_format("multiline")
    args.add("--distribution=" + distribution.name)
    args.add_all(files, map_each = _entry, expand_directories = False)
    args.add(wheel, format = "--output=%s")
    ctx.actions.run(
        executable = ctx.executable._wheel_of_files,
        arguments = [args],
        inputs = files,
        outputs = [wheel],
        mnemonic = "WheelOfFiles",
        progress_message = "Wheel of the files of %s %s" % (distribution.name, distribution.version),
    )
    return WheelInfo(
        distribution = distribution.name,
        lock = names.label_for_people(label),
        site_packages = None,
        size = 0,
        unpacked = True,
        version = distribution.version,
        wheel = wheel,
    )
