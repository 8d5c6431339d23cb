"""What pip is configured with, as far as Bazel's downloader can do the same: indexes and their credentials.

Files and their order: https://pip.pypa.io/en/stable/topics/configuration/.
"""

# Where pip itself has the index that it asks if it is told of none, below its package.
_INDEX_OF_PIP = "pip/_internal/models/index.py"

# What only pip itself can do, if it is set.
_PIP_ALONE = ["client-cert", "keyring-provider", "no-index", "proxy", "trusted-host"]

def _read_file(text):
    """The options of a pip.conf for `pip download`: those of its section over those of `global`."""
    sections = {"download": {}, "global": {}}
    section, option = None, None
    for line in text.split("\n"):
        bare = line.strip()
        if not bare or bare[0] in "#;":
            continue
        if bare.startswith("[") and bare.endswith("]"):
            section, option = sections.get(bare[1:-1].strip()), None
        elif line[0].isspace() and section != None and option:
            section[option] += " " + bare
        elif section != None:
            equals = [place for place in [bare.find("="), bare.find(":")] if place >= 0]
            place = min(equals) if equals else len(bare)
            option = bare[:place].strip().lower().replace("_", "-")
            section[option] = bare[place + 1:].strip()
    return sections["global"] | sections["download"]

def _split_credentials(url):
    """An address without its user, and login and password, or None."""
    scheme, separator, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    user, at, host = host.rpartition("@")
    if not at:
        return url, None
    login, _, password = user.partition(":")
    return scheme + separator + host + slash + path, struct(login = _decoded(login), password = _decoded(password))

_HEX = "0123456789abcdef"

def _decoded(text):
    """Percent-encoded ASCII as it is."""
    first, found, rest = text.partition("%")
    out = [first]
    for part in rest.split("%") if found else []:
        high, low = _HEX.find(part[:1].lower()), _HEX.find(part[1:2].lower())
        code = high * 16 + low
        if len(part) < 2 or high < 0 or low < 0 or code < 32 or code > 126:
            out.append("%" + part)
        else:
            out.append(_ASCII[code - 32] + part[2:])
    return "".join(out)

_ASCII = " !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~"

def _indexes(options, index_url = ""):
    """The indexes that Bazel's downloader can ask.

    Args:
      options: pip's options, its own default index among them.
      index_url: the one of a hub, in place of all others.

    Returns:
      A list of struct(url, user: struct(login, password) or None), the first one first; none if only pip can.
    """
    if [name for name in _PIP_ALONE if options.get(name) and (name != "no-index" or not index_url)]:
        return []
    urls = [index_url] if index_url else [options.get("index-url", "")] + options.get("extra-index-url", "").split(" ")
    found = []
    for url in urls:
        # Bazel downloads nothing over plain HTTP whose hash it does not know, such as an index's page.
        if url.startswith("https://"):
            plain, user = _split_credentials(url)
            found.append(struct(url = plain.rstrip("/"), user = user))
    return found

def _files(environment):
    """Where pip.conf may be, the one that counts most last."""
    config = environment.get("PIP_CONFIG_FILE", "")
    if config == "/dev/null":
        return []
    directories = [place for place in environment.get("XDG_CONFIG_DIRS", "/etc/xdg").split(":") if place]
    files = [place + "/pip/pip.conf" for place in reversed(directories)] + ["/etc/pip.conf"]
    home = environment.get("HOME", "")
    if home:
        files += [home + "/.pip/pip.conf", (environment.get("XDG_CONFIG_HOME") or home + "/.config") + "/pip/pip.conf"]
    return files + ([config] if config else [])

def _default_index(text):
    """The index that pip asks if it is told of none, by its own source; "" if that does not say."""
    address = text.partition('PyPI = PackageIndex("')[2].partition('"')[0]
    return address + "simple" if address.endswith("/") else ""

def _read(rctx, pip):
    """pip's options on this machine, as files and variables have them.

    Args:
      rctx: a repository's context.
      pip: path, the directory that has pip's package.

    Returns:
      dict from option, such as `index-url`, to text.
    """
    environment = rctx.os.environ
    options = {}
    for name in _files(environment):
        path = rctx.path(name)
        if path.exists and not path.is_dir:
            options.update({option: value for option, value in _read_file(rctx.read(path, watch = "no")).items() if value})
    for option in ["index-url", "extra-index-url"] + _PIP_ALONE:
        value = environment.get("PIP_" + option.upper().replace("-", "_"))
        if value:
            options[option] = " ".join([part for part in value.replace("\n", " ").split(" ") if part])
    source = pip.get_child(_INDEX_OF_PIP)
    if "index-url" not in options and source.exists:
        options["index-url"] = _default_index(rctx.read(source, watch = "no"))
    return options

pip_configuration = struct(
    default_index = _default_index,
    indexes = _indexes,
    read = _read,
    read_file = _read_file,
)
