"""What Bazel is told of caches: the flags of its rc files, and the credentials that go with them.

A program that `bazel run` starts is not told the flags of Bazel. So the rc files are read as Bazel reads them. For what
is not in them the push has flags of the same names.
"""

from __future__ import annotations

import json
import netrc
import shlex
import subprocess
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from chassis.errors import ChassisError

_COMMANDS = ("always", "common", "build", "run")
_SINGLE = (
    "disk_cache",
    "remote_cache",
    "remote_executor",
    "remote_instance_name",
    "tls_certificate",
    "tls_client_certificate",
    "tls_client_key",
)
_MANY = ("remote_header", "remote_cache_header", "credential_helper", "config")
_HELPER_SECONDS = 30.0
_MAX_FILES = 50


class BazelSettingsError(ChassisError):
    """An rc file, or a credential helper that one names, cannot be used."""


@dataclass(slots=True)
class BazelSettings:
    """Flags by name: the last value of each, and every value of those that add up."""

    single: dict[str, str] = field(default_factory=dict)
    many: dict[str, list[str]] = field(default_factory=dict)

    def headers(self) -> dict[str, str]:
        """What `--remote_header` and `--remote_cache_header` say."""
        pairs = [*self.many.get("remote_header", []), *self.many.get("remote_cache_header", [])]
        return {name: value for name, equals, value in (pair.partition("=") for pair in pairs) if equals}


def read_settings(workspace: Path, environment: Mapping[str, str], configs: Sequence[str] = ()) -> BazelSettings:
    """The flags that apply to `bazel run` in a workspace with `--config=X` for each of `configs`.

    Raises:
      BazelSettingsError: a file that another imports is missing.
    """
    places = [Path("/etc/bazel.bazelrc"), workspace / ".bazelrc"]
    if environment.get("HOME"):
        places.append(Path(environment["HOME"]) / ".bazelrc")
    lines = [line for place in places for line in _lines(place, workspace, [])]
    settings = BazelSettings()
    pending = ["", *configs]
    done: set[str] = set()
    while pending:
        config = pending.pop(0)
        if config in done:
            continue
        done.add(config)
        for command, flags in lines:
            name, _, of_config = command.partition(":")
            if name in _COMMANDS and of_config == config:
                _take(flags, settings)
        pending += settings.many.get("config", [])
    return settings


def credentials(settings: BazelSettings, url: str, workspace: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """The headers that prove to a cache who is asking: a credential helper's, else netrc's entry for this very host.

    Raises:
      BazelSettingsError: the helper fails.
    """
    host = urllib.parse.urlsplit(url).hostname or ""
    helper = _helper(settings, host)
    if helper:
        return _ask_helper(helper.replace("%workspace%", str(workspace)), url, workspace, environment)
    place = environment.get("NETRC") or (f"{environment['HOME']}/.netrc" if environment.get("HOME") else "")
    try:
        entry = netrc.netrc(place).hosts.get(host) if place else None
    except (OSError, netrc.NetrcParseError, UnicodeDecodeError):
        return {}
    if not entry:
        return {}
    import base64

    return {"Authorization": "Basic " + base64.b64encode(f"{entry[0]}:{entry[2]}".encode()).decode()}


def _lines(path: Path, workspace: Path, seen: list[Path]) -> Iterator[tuple[str, list[str]]]:
    """The commands and flags of an rc file and of what it imports."""
    if path in seen or len(seen) > _MAX_FILES:
        return
    seen.append(path)
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return
    for line in text.replace("\\\n", "").splitlines():
        try:
            words = shlex.split(line, comments=True)
        except ValueError:
            continue
        if len(words) == 2 and words[0] in ("import", "try-import"):
            imported = workspace / words[1].replace("%workspace%", str(workspace))
            if words[0] == "import" and not imported.is_file():
                raise BazelSettingsError(f"{path}: imports {imported}, which does not exist")
            yield from _lines(imported, workspace, seen)
        elif words:
            yield words[0], words[1:]


def _take(flags: Sequence[str], settings: BazelSettings) -> None:
    rest = iter(flags)
    for flag in rest:
        name, equals, value = flag.removeprefix("--").partition("=")
        if not flag.startswith("--") or name not in (*_SINGLE, *_MANY):
            continue
        value = value if equals else next(rest, "")
        if name in _SINGLE:
            settings.single[name] = value
        else:
            settings.many.setdefault(name, []).append(value)


def _helper(settings: BazelSettings, host: str) -> str:
    """The helper for a host: that of the longest pattern that fits; the last of equals."""
    best, length = "", -1
    for text in settings.many.get("credential_helper", []):
        pattern, equals, path = text.partition("=")
        if not equals:
            pattern, path = "", text
        fits = not pattern or host == pattern or (pattern.startswith("*.") and host.endswith(pattern[1:]))
        if fits and len(pattern) >= length:
            best, length = path, len(pattern)
    return best


def _ask_helper(path: str, url: str, workspace: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """Bazel's protocol for credential helpers: JSON in, JSON out. What it prints is a secret and never shown."""
    try:
        done = subprocess.run(
            [path, "get"],
            input=json.dumps({"uri": url}),
            capture_output=True,
            text=True,
            timeout=_HELPER_SECONDS,
            cwd=workspace,
            env=dict(environment),
            check=False,
        )
        answer = json.loads(done.stdout) if done.returncode == 0 else {}
        headers = answer.get("headers") or {}
        found = {str(name): str(values[0]) for name, values in headers.items()}
    except (OSError, ValueError, TypeError, AttributeError, LookupError, subprocess.TimeoutExpired) as error:
        raise BazelSettingsError(f"credential helper {path}: {type(error).__name__}") from None
    if done.returncode != 0:
        raise BazelSettingsError(f"credential helper {path}: failed with exit status {done.returncode}")
    return found
