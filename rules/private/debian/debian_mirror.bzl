"""Finds the Debian mirror that this machine uses: `CHASSIS_DEBIAN_MIRROR`, else the one of its apt."""

# The releases whose archive holds one shared pool. An entry for another suite (a vendor's, Ubuntu's) is not a Debian mirror.
_SUITES = ["stable", "oldstable", "testing", "unstable", "sid", "bullseye", "bookworm", "trixie", "forky", "duke"]

# Where the archive of security updates has its packages, and no other archive.
_SECURITY_POOL = "pool/updates/"

_REMEDY = "Name one with --repo_env=CHASSIS_DEBIAN_MIRROR=<URL>, the directory that holds `dists` and `pool`."

def _from_one_line_style(content):
    """The first Debian archive of a `sources.list`."""
    for line in content.split("\n"):
        line = line.strip()
        if not line.startswith("deb "):
            continue
        line = line[len("deb "):].strip()
        if line.startswith("["):
            line = line[line.index("]") + 1:].strip() if "]" in line else ""
        fields = [field for field in line.split(" ") if field]
        if len(fields) >= 3 and fields[1] in _SUITES and "main" in fields[2:]:
            return fields[0]
    return None

def _from_deb822_style(content):
    """The first Debian archive of a `.sources` file."""
    for stanza in content.replace("\r", "").split("\n\n"):
        fields = {}
        for line in stanza.split("\n"):
            key, colon, value = line.partition(":")
            if colon and not line.startswith(("#", " ", "\t")):
                fields[key.strip().lower()] = [word for word in value.strip().split(" ") if word]
        suites = [suite for suite in fields.get("suites", []) if suite in _SUITES]
        packages = "deb" in fields.get("types", []) and "main" in fields.get("components", [])
        if suites and packages and fields.get("enabled", ["yes"]) != ["no"] and fields.get("uris"):
            return fields["uris"][0]
    return None

def _find(rctx):
    """The mirror's URL without a closing slash; fails with the remedy if there is none.

    Bazel is not told of what is asked here: it would fetch again for another mirror, though the lock has each file's hash, and
    would write the address down, which may hold a password.
    """
    named = rctx.os.environ.get("CHASSIS_DEBIAN_MIRROR")
    if named:
        return named.rstrip("/")
    candidates = []
    parts = rctx.path("/etc/apt/sources.list.d")
    if parts.exists:
        for file in sorted(parts.readdir(watch = "no"), key = lambda path: path.basename):
            if file.basename.endswith(".sources"):
                candidates.append(_from_deb822_style(rctx.read(file, watch = "no")))
            elif file.basename.endswith(".list"):
                candidates.append(_from_one_line_style(rctx.read(file, watch = "no")))
    main = rctx.path("/etc/apt/sources.list")
    if main.exists:
        candidates.insert(0, _from_one_line_style(rctx.read(main, watch = "no")))
    for candidate in candidates:
        if candidate and (candidate.startswith("http://") or candidate.startswith("https://")):
            return candidate.rstrip("/")
    fail("Debian packages are needed, and this machine's apt names no Debian mirror. " + _REMEDY)

def _holding(mirror, path, security):
    """The archive that has a path of a lock: the mirror, or the security updates beside it (as chassis/debian/sources.py).

    Args:
      mirror: what `find` gave.
      path: such as `pool/main/z/zlib/zlib1g_1.2.13_amd64.deb`.
      security: what `CHASSIS_DEBIAN_SECURITY_MIRROR` says, or None.

    Returns:
      Its URL without a closing slash; None if it is of security updates, and nothing says where those are.
    """
    if not path.startswith(_SECURITY_POOL):
        return mirror
    if security:
        return security.rstrip("/")
    return mirror + "-security" if mirror.endswith("/debian") else None

debian_mirror = struct(
    find = _find,
    holding = _holding,
    remedy = _REMEDY,
    from_deb822_style = _from_deb822_style,
    from_one_line_style = _from_one_line_style,
)
