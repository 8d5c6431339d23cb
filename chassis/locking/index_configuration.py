"""uv told to use the index that pip is configured with: uv reads no pip.conf of its own.

Where pip looks: https://pip.pypa.io/en/stable/topics/configuration/. What uv itself is configured with wins.
Of a package that several indexes have, those of the first count, if an extra index is before the default one: else
whoever puts a higher version of a private package's name on a public index is in the image (dependency confusion).
`UV_INDEX_STRATEGY=unsafe-best-match` is for those who trust all of their indexes alike, as pip does.

A lock is for every machine, so indexes and directories on this machine's disk are passed over: they may hold
other builds of the same version.
"""

from __future__ import annotations

import configparser
from collections.abc import Iterator, Mapping
from pathlib import Path

# pip's option to uv's variable for it, and to all of uv's variables that take its place.
_OPTIONS = {
    "index-url": ("UV_DEFAULT_INDEX", "UV_INDEX_URL"),
    "extra-index-url": ("UV_INDEX", "UV_EXTRA_INDEX_URL"),
    "cert": ("SSL_CERT_FILE",),
    "client-cert": ("SSL_CLIENT_CERT",),
    "proxy": ("ALL_PROXY", "all_proxy", "HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"),
    "trusted-host": ("UV_INSECURE_HOST",),
}
_INDEXES = ("index-url", "extra-index-url")


def uv_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """`environment` with uv's variables for what pip's files and variables say, unless uv has a word of its
    own.
    """
    settings = dict(_from_files(environment))
    for option in _OPTIONS:
        value = environment.get("PIP_" + option.upper().replace("-", "_"))
        if value:
            settings[option] = value
    result = dict(environment)
    for option, variables in _OPTIONS.items():
        if any(name in environment for name in variables):
            continue
        values = settings.get(option, "").split()
        if option == "proxy":
            values = [value if "://" in value else f"http://{value}" for value in values]
        if option in _INDEXES:
            values = [value for value in values if "://" in value and not value.startswith("file:")]
        if values:
            result[variables[0]] = " ".join(values)
    return result


def _from_files(environment: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for path in _files(environment):
        parser = configparser.RawConfigParser()
        try:
            parser.read_string(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, configparser.Error):
            continue
        if parser.has_section("global"):
            for option, value in parser.items("global"):
                yield option.replace("_", "-"), value


def _files(environment: Mapping[str, str]) -> Iterator[Path]:
    for directory in reversed(environment.get("XDG_CONFIG_DIRS", "/etc/xdg").split(":")):
        if directory:
            yield Path(directory) / "pip/pip.conf"
    yield Path("/etc/pip.conf")
    home = environment.get("HOME")
    if home:
        yield Path(home) / ".pip/pip.conf"
        yield Path(environment.get("XDG_CONFIG_HOME") or Path(home) / ".config") / "pip/pip.conf"
    if environment.get("PIP_CONFIG_FILE"):
        yield Path(environment["PIP_CONFIG_FILE"])
