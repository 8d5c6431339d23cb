"""Reads Debian package locks: one package a line, `name version sha256:HEX pool/path.deb`."""

def _parse(content, file):
    """Reads a lock.

    Args:
      content: the lock's text. `#` starts a comment line.
      file: the lock's name, for errors.

    Returns:
      A list of structs with `name`, `version`, `sha256` (hex), `path` (from the mirror's root) and `line` (from 1).
      An error is a string in place of the list.
    """
    packages = []
    seen = {}
    for number, line in enumerate(content.split("\n"), 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        where = "%s, line %d" % (file, number)
        fields = text.split(" ")
        if len(fields) != 4:
            return where + ": expected `name version sha256:HEX pool/path.deb`, found: " + text
        name, version, digest, path = fields
        sha256 = digest.removeprefix("sha256:")
        if sha256 == digest or len(sha256) != 64 or sha256.strip("0123456789abcdef"):
            return where + ": %s: %s is not a digest of the form sha256:<64 hexadecimal digits>" % (name, digest)
        if not path.startswith("pool/") or not path.endswith(".deb") or "/../" in path:
            return where + ": %s: %s is not a path of the form pool/….deb" % (name, path)
        if name in seen:
            return where + ": %s is listed twice, before in line %d" % (name, seen[name])
        seen[name] = number
        packages.append(struct(name = name, version = version, sha256 = sha256, path = path, line = number))
    if not packages:
        return file + ": the lock holds no package"
    return packages

_RENEWAL = "Renew with: "

def _renewal(content):
    """The command that makes a lock anew, as its first line says."""
    return content.partition("\n")[0].partition(_RENEWAL)[2] or "bazel run @chassis//chassis/tools:debian_lock -- --renew=LOCK"

debian_lock = struct(parse = _parse, renewal = _renewal)
