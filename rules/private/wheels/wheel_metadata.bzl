"""A wheel's METADATA, read without a Python: on a machine that starts no Linux programs and fetches for those that do.

https://packaging.python.org/en/latest/specifications/core-metadata/. What it makes is what chassis/fetching/fetch_wheel.py does.
"""

load("//rules/private/locks:python_markers.bzl", "python_markers")
load("//rules/private/locks:python_name.bzl", "normalize_name")
load("//rules/private/tools:repository_process.bzl", "run_bare")

def _headers(text):
    """The headers, each a list of values; the description after them does not count."""
    headers = {}
    last = None
    for line in text.replace("\r", "").split("\n"):
        if not line:
            break
        if line[0] in " \t" and last:
            last[-1] += " " + line.strip()
            continue
        name, _, value = line.partition(":")
        last = headers.setdefault(name.strip().lower(), [])
        last.append(value.strip())
    return headers

def _requirement(line):
    """`name[extra] (>=1) ; marker` as a struct: name, extras, marker."""
    bare, _, marker = line.partition(";")

    # An address may hold a semicolon, and has a space before that of its marker.
    if "@" in bare:
        bare, _, marker = line.partition(" ;")
    end = len(bare)
    for i in range(len(bare)):
        if bare[i] in " [=<>!~@(":
            end = i
            break
    inside = bare.partition("[")[2].partition("]")[0] if bare[end:].strip().startswith("[") else ""
    return struct(
        extras = sorted([normalize_name(extra.strip()) for extra in inside.split(",") if extra.strip()]),
        marker = marker.strip(),
        name = normalize_name(bare[:end].strip()),
    )

def _requires(requirements, extra, environment):
    """The requirements that an extra brings, or those without one for ""; an error as a string."""
    found = []
    for one in requirements:
        holds = python_markers.evaluate(one.marker, environment(extras = [extra] if extra else []))
        always = python_markers.evaluate(one.marker, environment())
        for result in [holds, always]:
            if type(result) == "string":
                return result
        if holds and (not extra or not always):
            found.append([one.name, one.extras])
    return found

def _describe(text, file, environment):
    """What a wheel says of itself.

    Args:
      text: its METADATA.
      file: its file name.
      environment: as of `lock_target`.

    Returns:
      dict with `file`, `name`, `version` and `requires`, which maps "" and each extra to a list of [name, [extra, …]]; an error
      as a string.
    """
    headers = _headers(text)
    if not headers.get("name") or not headers.get("version"):
        return "%s: its metadata lacks Name or Version" % file
    requirements = [_requirement(line) for line in headers.get("requires-dist", [])]
    requires = {}
    for extra in [""] + headers.get("provides-extra", []):
        found = _requires(requirements, extra, environment)
        if type(found) == "string":
            return "%s: Requires-Dist: %s" % (file, found)
        requires[normalize_name(extra)] = found
    return {"file": file, "name": normalize_name(headers["name"][0]), "requires": requires, "version": headers["version"][0]}

def _read(rctx, wheel, environment):
    """Writes `metadata.json` of a wheel beside it.

    Args:
      rctx: the repository's context.
      wheel: the file's name in the repository.
      environment: as of `lock_target`.

    Returns:
      What is wrong with the wheel, or None.
    """
    rctx.symlink(wheel, "wheel.zip")
    rctx.extract("wheel.zip", output = "unpacked")
    rctx.delete("wheel.zip")
    found = [
        path.get_child("METADATA")
        for path in rctx.path("unpacked").readdir()
        if path.basename.endswith(".dist-info") and path.get_child("METADATA").exists
    ]
    described = "%s holds %d METADATA files, expected one" % (wheel, len(found))
    if len(found) == 1:
        described = _describe(rctx.read(found[0]), wheel, environment)
    rctx.delete("unpacked")
    if type(described) == "string":
        return described
    counted = run_bare(rctx, ["wc", "-c", wheel])
    if counted.return_code:
        return counted.stderr
    described["size"] = int(counted.stdout.strip().split(" ")[0])
    rctx.file("metadata.json", json.encode_indent(described, indent = " ") + "\n", executable = False)
    return None

wheel_metadata = struct(
    describe = _describe,
    read = _read,
)
