"""What an sdist requires, read from its files: nothing of it runs.

A resolver that is to lock an sdist asks for its metadata, and has its build backend make that: code of whoever uploaded
it, with the network and the environment of whoever locks. The metadata that the sdist brings (PKG-INFO, and the
requires.txt of older setuptools) says the same, and is what wheel repositories read, too.
"""

from __future__ import annotations

import base64
import hashlib
import json
import netrc
import os
import ssl
import tarfile
import tempfile
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from email.parser import HeaderParser
from pathlib import Path
from typing import BinaryIO, cast
from urllib.parse import unquote, urlsplit

from packaging.requirements import InvalidRequirement, Requirement

from chassis.errors import ChassisError

_MAX_BYTES = 1 << 30
_MAX_UNPACKED = 8 << 30
_MAX_TEXT = 16 << 20
_SECONDS = 120.0
_BLOCK = 1 << 18


@dataclass(frozen=True, slots=True)
class Sdist:
    """An sdist of an index: release, the file's URL or path, and its SHA-256 in lower-case hexadecimal."""

    name: str
    version: str
    place: str | Path
    sha256: str


@dataclass(frozen=True, slots=True)
class SdistMetadata:
    """What a release requires: `Requires-Dist` values, its extras, and `Requires-Python` or ""."""

    name: str
    version: str
    requires: tuple[str, ...]
    extras: tuple[str, ...]
    python: str


def fetch_metadata(sdist: Sdist, environment: Mapping[str, str]) -> SdistMetadata:
    """Downloads the sdist, with the credentials that `environment` has for its index, and reads its metadata.

    Raises:
      ChassisError: it cannot be had, is not what the index says, or names no requirements that can be read.
    """
    name = f"{sdist.name}=={sdist.version}"
    file = unquote(urlsplit(str(sdist.place)).path.rpartition("/")[2])
    digest, size = hashlib.sha256(), 0
    with tempfile.TemporaryFile() as content:
        try:
            with _open(sdist.place, environment) as answer:
                while block := answer.read(_BLOCK):
                    size += len(block)
                    if size > _MAX_BYTES:
                        raise ChassisError(f"{name}: {file} is larger than {_MAX_BYTES >> 20} MiB")
                    digest.update(block)
                    content.write(block)
        except (OSError, ValueError) as error:
            raise ChassisError(f"{name}: {file} cannot be fetched: {error}") from None
        if digest.hexdigest() != sdist.sha256:
            raise ChassisError(f"{name}: {file} has sha256 {digest.hexdigest()}, and the index says {sdist.sha256}")
        content.seek(0)
        return read_metadata(content, file, sdist.name, sdist.version)


def read_metadata(content: BinaryIO, file: str, name: str, version: str) -> SdistMetadata:
    """What the archive `content`, named `file`, says that the release requires.

    Raises:
      ChassisError: it is not an sdist, or a requirement is malformed or names a URL.
    """
    try:
        texts = dict(_texts(content, file))
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, OSError, RuntimeError, ValueError) as error:
        raise ChassisError(f"{name}=={version}: {file} is not an archive that can be read: {error}") from None
    if "PKG-INFO" not in texts:
        raise ChassisError(f"{name}=={version}: {file} has no PKG-INFO at its top, so it is not an sdist")
    headers = HeaderParser().parsestr(texts["PKG-INFO"])
    requires = list(headers.get_all("Requires-Dist") or [])
    if not requires:
        older = [text for path, text in texts.items() if path != "PKG-INFO"]
        requires = [line for text in older for line in _older_requirements(text)]
    for line in requires:
        try:
            url = Requirement(line).url
        except InvalidRequirement as error:
            raise ChassisError(f"{name}=={version}: {file} requires {line!r}: {error}") from None
        if url:
            raise ChassisError(
                f"{name}=={version}: {file} requires {line!r}, and a lock takes files of the index alone"
            )
    extras = tuple(headers.get_all("Provides-Extra") or [])
    return SdistMetadata(name, version, tuple(requires), extras, headers.get("Requires-Python") or "")


def metadata_settings(known: Mapping[str, SdistMetadata], unknown: Iterable[str]) -> str:
    """The text of a `uv.toml` with which uv asks no backend about these distributions.

    Of a release that is not among `known` (keyed by `name==version`) it takes that it requires nothing.
    https://docs.astral.sh/uv/reference/settings/#dependency-metadata
    """
    tables = [{"name": json.dumps(name), "requires-dist": "[]"} for name in sorted(unknown)]
    for _, found in sorted(known.items()):
        table = {
            "name": json.dumps(found.name),
            "version": json.dumps(found.version),
            "requires-dist": json.dumps(found.requires),
            "provides-extra": json.dumps(found.extras),
        }
        if found.python:
            table["requires-python"] = json.dumps(found.python)
        tables.append(table)
    return "".join(
        "[[dependency-metadata]]\n" + "".join(f"{key} = {value}\n" for key, value in table.items()) + "\n"
        for table in tables
    )


def _open(place: str | Path, environment: Mapping[str, str]) -> BinaryIO:
    if isinstance(place, Path):
        return place.open("rb")
    if urlsplit(place).scheme not in ("http", "https"):
        raise ValueError(f"{place} is not a URL of http or https")
    request = urllib.request.Request(place)
    if account := _account(place, environment):
        token = base64.b64encode(":".join(account).encode()).decode()
        request.add_unredirected_header("Authorization", f"Basic {token}")
    opener = _opener(urlsplit(place).netloc.rpartition("@")[2], environment)
    return cast(BinaryIO, opener.open(request, timeout=_SECONDS))


def _opener(host: str, environment: Mapping[str, str]) -> urllib.request.OpenerDirector:
    """Proxies, certificates and hosts that are trusted without any, as uv is told of them by the same variables."""
    for_all = environment.get("ALL_PROXY") or environment.get("all_proxy") or ""
    proxies = {
        scheme: environment.get(f"{scheme}_proxy") or environment.get(f"{scheme.upper()}_PROXY") or for_all
        for scheme in ("http", "https")
    }
    context = ssl.create_default_context(cafile=environment.get("SSL_CERT_FILE") or None)
    if own := environment.get("SSL_CLIENT_CERT"):
        context.load_cert_chain(own)
    if {host, host.partition(":")[0]} & set(environment.get("UV_INSECURE_HOST", "").split()):
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return urllib.request.build_opener(
        urllib.request.ProxyHandler({scheme: proxy for scheme, proxy in proxies.items() if proxy}),
        urllib.request.HTTPSHandler(context=context),
    )


def _account(url: str, environment: Mapping[str, str]) -> tuple[str, str] | None:
    """User and password for `url`: those in it, in the URL of an index of the same origin, or in netrc."""
    indexes = " ".join(environment.get(name, "") for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX"))
    candidates = [url, *(word.partition("=")[2] if _is_named(word) else word for word in indexes.split())]
    wanted = urlsplit(url)
    for candidate in map(urlsplit, candidates):
        if candidate.username and (candidate.scheme, candidate.hostname, candidate.port) == (
            *(wanted.scheme, wanted.hostname, wanted.port),
        ):
            return unquote(candidate.username), unquote(candidate.password or "")
    place = environment.get("NETRC") or os.path.expanduser("~/.netrc")  # noqa: PTH111
    try:
        found = netrc.netrc(place).hosts.get(wanted.hostname or "")
    except (OSError, netrc.NetrcParseError):
        return None
    return (found[0], found[2] or "") if found else None


def _is_named(index: str) -> bool:
    """Whether an index of UV_INDEX has a name before it: `corp=https://…`."""
    return "=" in index.partition("://")[0]


def _texts(content: BinaryIO, file: str) -> Iterator[tuple[str, str]]:
    """The texts that describe an sdist, by their path below its one directory."""
    if file.endswith(".zip"):
        with zipfile.ZipFile(content) as archive:
            for info in archive.infolist():
                if _is_wanted(info.filename) and info.file_size <= _MAX_TEXT:
                    with archive.open(info) as text:
                        yield _below(info.filename), text.read(_MAX_TEXT).decode("utf-8", "replace")
        return
    unpacked = 0
    with tarfile.open(fileobj=content, mode="r|*") as archive:
        for member in archive:
            unpacked += member.size
            if unpacked > _MAX_UNPACKED:
                raise ValueError(f"it unpacks to more than {_MAX_UNPACKED >> 30} GiB")
            if member.isfile() and _is_wanted(member.name) and member.size <= _MAX_TEXT:
                unpacked_file = archive.extractfile(member)
                assert unpacked_file is not None
                yield _below(member.name), unpacked_file.read(_MAX_TEXT).decode("utf-8", "replace")


def _below(path: str) -> str:
    return path.partition("/")[2]


def _is_wanted(path: str) -> bool:
    parts = path.split("/")
    if len(parts) == 2:
        return parts[1] == "PKG-INFO"
    return len(parts) > 2 and parts[-1] == "requires.txt" and Path(parts[-2]).suffix == ".egg-info"


def _older_requirements(text: str) -> Iterator[str]:
    """`Requires-Dist` values of setuptools' older requires.txt: sections `[extra]`, `[:marker]`, `[extra:marker]`."""
    conditions: list[str] = []
    for line in map(str.strip, text.splitlines()):
        if line.startswith("[") and line.endswith("]"):
            extra, _, marker = line[1:-1].partition(":")
            conditions = [f"({marker})"] if marker else []
            conditions += [f"extra == '{extra}'"] if extra else []
        elif line and not line.startswith("#"):
            yield line + (" ; " + " and ".join(conditions) if conditions else "")
