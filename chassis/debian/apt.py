"""Debian packages through apt with a configuration of its own: resolved, checked and downloaded, never
installed.

Nothing of the machine's apt state is read or written: the lists, the cache and the package status are
private, so this works without root, with empty lists, and for a suite or a CPU that is not the machine's.
What is taken from the machine is how it reaches its mirror: the mirror itself, proxies, credentials and TLS
settings (`sources.py`).

Runs on any Python from 3.8 with the standard library alone, because it is part of what brings Bazel to a
machine.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import NamedTuple

from chassis.debian.archive_keys import trusted_keyrings
from chassis.debian.sources import Mirror
from chassis.errors import ChassisError

UNVERIFIED = "CHASSIS_DEBIAN_UNVERIFIED"
_VERIFIERS = ("sqv", "gpgv", "gpgv-sq", "gpgv2", "gpgv1")
_TIMEOUT_S = 900
_OLD_INDEX = (
    "the mirror is out of date, or someone answers with an old index: set CHASSIS_DEBIAN_MIRROR=URL for another one\n"
    '  for an archive of the past, set Acquire::Check-Valid-Until "false" in this machine\'s apt.conf'
)


class AptError(ChassisError):
    """apt is missing, cannot reach its mirror, or finds no such package."""


class Package(NamedTuple):
    """One binary package of the archive.

    `path` is relative to the mirror (`pool/main/…`), `size` is in bytes, `sha256` in lower-case hexadecimal
    as the signed index has it. `depends` holds, for each entry of Pre-Depends and Depends, its alternatives
    by name; `provides` the virtual packages (https://www.debian.org/doc/debian-policy/ch-relationships.html).
    """

    name: str
    version: str
    architecture: str
    path: str
    size: int
    sha256: str
    depends: tuple[tuple[str, ...], ...] = ()
    provides: tuple[str, ...] = ()

    @property
    def filename(self) -> str:
        """The name that apt stores it under: the epoch's colon percent-encoded."""
        version = self.version.replace("%", "%25").replace(":", "%3a")
        return f"{self.name}_{version}_{self.architecture}.deb"


def parse_stanzas(text: str) -> list[Package]:
    """The packages of an index in Debian's control format, as `apt-cache show` prints it.

    Raises `AptError` if a stanza lacks Filename, Size or SHA256.
    """
    packages = []
    for stanza in re.split(r"\n\n+", text.strip()):
        fields = dict(re.findall(r"^([A-Za-z0-9-]+):[ \t]*(.*(?:\n[ \t].*)*)", stanza, flags=re.M))
        if not fields:
            continue
        try:
            packages.append(
                Package(
                    name=fields["Package"],
                    version=fields["Version"],
                    architecture=fields["Architecture"],
                    path=fields["Filename"],
                    size=int(fields["Size"]),
                    sha256=fields["SHA256"].lower(),
                    depends=_relations(fields.get("Pre-Depends", "")) + _relations(fields.get("Depends", "")),
                    provides=tuple(group[0] for group in _relations(fields.get("Provides", ""))),
                )
            )
        except (KeyError, ValueError) as error:
            name = fields.get("Package", "?")
            raise AptError(f"Debian index: the entry of {name} is incomplete ({error!r})") from error
    return packages


def _relations(field: str) -> tuple[tuple[str, ...], ...]:
    groups = (entry.split("|") for entry in field.replace("\n", " ").split(",") if entry.strip())
    return tuple(tuple(re.split(r"[\s(:\[<]", name.strip(), maxsplit=1)[0] for name in group) for group in groups)


def closure(roots: Iterable[str], packages: Sequence[Package], exclude: Iterable[str] = ()) -> list[Package]:
    """What `roots` need of `packages`, walking Pre-Depends and Depends but neither into nor through
    `exclude`.

    `packages` is what apt chose, so that of a group of alternatives the ones that are there are taken: the
    first by name, or all that provide it. Sorted by name. Raises `AptError` if a root is not among the
    packages.
    """
    by_name = {package.name: package for package in packages}
    providers: dict[str, list[Package]] = {}
    for package in packages:
        for name in package.provides:
            providers.setdefault(name, []).append(package)
    excluded = set(exclude)
    chosen: dict[str, Package] = {}
    pending = []
    for root in roots:
        # A package that has another name by now, as of Debian 13 `libglib2.0-0t64`, provides the one it had.
        found = _satisfy((root,), by_name, providers)
        if not found:
            raise AptError(f"package {root}: apt did not choose it; is it the name of a real package of that suite?")
        pending += found
    while pending:
        package = pending.pop()
        if package.name in chosen or package.name in excluded:
            continue
        chosen[package.name] = package
        for group in package.depends:
            pending += _satisfy(group, by_name, providers)
    return sorted(chosen.values())


def _satisfy(
    group: tuple[str, ...], by_name: Mapping[str, Package], providers: Mapping[str, list[Package]]
) -> list[Package]:
    for name in group:
        if name in by_name:
            return [by_name[name]]
    for name in group:
        if name in providers:
            return providers[name]
    return []


class Verifier(NamedTuple):
    """What checks OpenPGP signatures: a program that is called as `gpgv` is, and its name in words. Without a
    `program` apt finds its own."""

    name: str
    program: Path | None = None


def machine_verifier() -> Verifier | None:
    """The one that this machine has, or None."""
    return next((Verifier(name) for name in _VERIFIERS if shutil.which(name)), None)


class Apt:
    """apt for one suite and CPU of one mirror, with its state in `directory`.

    `signature` says in words how the index was checked, once `update` has run; `verified` whether by its
    signature.
    """

    def __init__(
        self,
        directory: Path,
        mirror: Mirror,
        suite: str,
        architecture: str,
        bring_verifier: Callable[[], Verifier] | None = None,
        check_dates: bool | None = None,
        security: Mirror | None = None,
    ) -> None:
        """`security` has the suite's security updates (`SUITE-security`), which apt then chooses from, too.
        `bring_verifier` is asked if the machine has none. `check_dates` says whether an index is refused after the
        date that it names itself (Valid-Until); None leaves that to how this machine's apt is set."""
        self._bring_verifier = bring_verifier
        self._check_dates = check_dates
        self.directory = directory.absolute()
        self.mirror = mirror
        self.suite = suite
        self.security = security
        self.architecture = architecture
        self.signature = "not checked yet"
        self.verified = False

    def update(self) -> None:
        """Fetches the suite's index and checks its signature; raises `AptError` with apt's own words.

        If nothing can check it, that is an error, too, but for `CHASSIS_DEBIAN_UNVERIFIED`: digests from an index
        that anybody on the way may have written prove nothing.
        """
        for program in ("apt-get", "apt-cache", "dpkg-deb"):
            if not shutil.which(program):
                raise AptError(f"{program} is not on this machine: this needs Debian's or Ubuntu's apt and dpkg")
        verifier = None if os.environ.get(UNVERIFIED) else self._verifier()
        for name in ("lists/partial", "cache/archives/partial", "trusted"):
            (self.directory / name).mkdir(parents=True, exist_ok=True)
        for number, keyring in enumerate(trusted_keyrings()):
            shutil.copyfile(keyring, self.directory / "trusted" / f"{number}{keyring.suffix}")
        option = "" if verifier else "[trusted=yes] "
        sources = [f"deb {option}{mirror.uri} {suite} main\n" for suite, mirror in self._archives().items()]
        (self.directory / "sources.list").write_text("".join(sources))
        (self.directory / "apt.conf").write_text(self._configuration(verifier))
        result = self._run("apt-get", "update", "--error-on=any")
        if result.returncode:
            raise AptError(self._update_failure(result.stdout + result.stderr))
        dated = self._dates_count()
        self._check_releases(dated and verifier is not None)
        self.verified = verifier is not None
        if verifier:
            note = "" if dated else "; its Valid-Until is not checked, as this machine's apt is set"
            self.signature = f"good ({verifier.name}){note}"
        else:
            self.signature = f"NOT checked, as {UNVERIFIED} asks; only the SHA-256 chain is"

    def _verifier(self) -> Verifier:
        found = machine_verifier()
        if found:
            return found
        if self._bring_verifier:
            return self._bring_verifier()
        raise AptError(
            f"Debian's {self.suite}: nothing here can check the signature of its index (gpgv and sqv are missing)\n"
            f"  install gpgv, or set {UNVERIFIED}=1 to trust the mirror and all that is between"
        )

    def _dates_count(self) -> bool:
        result = self._run("apt-config", "shell", "CHECKED", "Acquire::Check-Valid-Until/b")
        return re.search(r"CHECKED='(false|0)'", result.stdout) is None

    def _archives(self) -> dict[str, Mirror]:
        """The mirror of each suite that is read."""
        return {self.suite: self.mirror} | ({f"{self.suite}-security": self.security} if self.security else {})

    def _check_releases(self, dated: bool) -> None:
        """Checks what apt only warns of or, for some ways to fetch, does not look at: that the index is that of the
        suite, and of today. A signed index of an older release or of last year is a way to install what has holes."""
        releases = sorted((self.directory / "lists").glob("*Release"))
        awaited = self._archives()
        if len(releases) != len(awaited):
            raise AptError(
                f"Debian's {self.suite}: apt left {len(releases)} Release files; {len(awaited)} "
                f"{'is' if len(awaited) == 1 else 'are'} expected"
            )
        for suite, mirror in awaited.items():
            release = next((one for one in releases if f"_dists_{suite}_" in one.name), releases[0])
            fields = release_fields(release.read_text(encoding="utf-8", errors="replace"))
            if suite not in (fields.get("Suite"), fields.get("Codename")):
                raise AptError(
                    f"{mirror.uri} answers with another suite than {suite}: {fields.get('Suite', '?')} "
                    f"({fields.get('Codename', '?')})\n  the mirror is {mirror.origin}; set CHASSIS_DEBIAN_MIRROR=URL "
                    "to use another one"
                )
            until = fields.get("Valid-Until")
            if dated and until and not _is_to_come(until):
                raise AptError(f"Debian's {suite} on {mirror.uri} was valid until {until}\n  {_OLD_INDEX}")

    def security_versions(self, names: Sequence[str]) -> dict[str, str]:
        """The version of each package that the suite's security updates have; none without `security`."""
        if not self.security or not names:
            return {}
        found: dict[str, str] = {}
        for line in self._run("apt-cache", "madison", *names).stdout.splitlines():
            name, version, where = (part.strip() for part in line.split("|", 2))
            if f" {self.suite}-security/" in where:
                found.setdefault(name, version)  # the newest is named first
        return found

    def resolve(self, roots: Sequence[str], exclude: Iterable[str] = ()) -> list[Package]:
        """The closure of `roots` over Pre-Depends and Depends, without recommendations; see `closure`."""
        return closure(roots, self.show(self._install_set(roots)), exclude)

    def show(self, names: Sequence[str]) -> list[Package]:
        """The candidates of `names` (`name` or `name=version`) with what the signed index says of them."""
        result = self._run("apt-cache", "show", "--no-all-versions", *names)
        if result.returncode:
            raise AptError(f"{self.suite}: {_last_lines(result.stderr)}")
        return parse_stanzas(result.stdout)

    def version(self, name: str) -> str | None:
        """The candidate version of package `name`, or None if the suite has none."""
        result = self._run("apt-cache", "policy", name)
        match = re.search(r"Candidate:\s*(\S+)", result.stdout)
        return match.group(1) if match and match.group(1) != "(none)" else None

    def download_command(self, packages: Sequence[Package]) -> list[str]:
        """The command that downloads `packages` into its working directory, resuming what is half there."""
        names = [f"{package.name}={package.version}" for package in packages]
        return ["apt-get", "-c", str(self.directory / "apt.conf"), "download", "-q", *names]

    def _install_set(self, roots: Sequence[str]) -> list[str]:
        result = self._run("apt-get", "install", "--simulate", "--no-install-recommends", "-qq", *roots)
        if result.returncode:
            wanted = " ".join(roots)
            raise AptError(
                f"apt cannot resolve {wanted} in {self.suite} for {self.architecture}:\n{_last_lines(result.stderr)}"
            )
        return [f"{name}={version}" for name, version in re.findall(r"^Inst (\S+) \((\S+)", result.stdout, re.M)]

    def _run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
        environment.pop("APT_CONFIG", None)
        command = [program, "-c", str(self.directory / "apt.conf"), *arguments]
        try:
            return subprocess.run(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=_TIMEOUT_S,
            )
        except subprocess.TimeoutExpired as error:
            raise AptError(f"{program} {arguments[0]} did not end within {_TIMEOUT_S} s") from error

    def _configuration(self, verifier: Verifier | None) -> str:
        root = self.directory
        more = []
        if verifier and verifier.program:
            more.append(f'Apt::Key::gpgvcommand "{verifier.program}";')
        if self._check_dates is not None:
            more.append(f'Acquire::Check-Valid-Until "{str(self._check_dates).lower()}";')
        return "\n".join(
            [
                "#clear APT::Architectures;",
                "#clear APT::Update::Pre-Invoke;",
                "#clear APT::Update::Post-Invoke;",
                "#clear APT::Update::Post-Invoke-Success;",
                "#clear APT::Default-Release;",
                f'APT::Architecture "{self.architecture}";',
                f'APT::Architectures {{ "{self.architecture}"; }};',
                'APT::Sandbox::User "";',
                f'Dir::State "{root}";',
                f'Dir::State::Lists "{root}/lists";',
                'Dir::State::status "/dev/null";',
                f'Dir::Cache "{root}/cache";',
                f'Dir::Cache::Archives "{root}/cache/archives";',
                'Dir::Cache::pkgcache "pkgcache.bin";',
                'Dir::Cache::srcpkgcache "";',
                f'Dir::Etc::SourceList "{root}/sources.list";',
                'Dir::Etc::Trusted "/dev/null";',
                f'Dir::Etc::TrustedParts "{root}/trusted";',
                # Images for CI set these to have their way; here an index is signed or refused.
                'Acquire::AllowInsecureRepositories "false";',
                'Acquire::AllowWeakRepositories "false";',
                'Acquire::AllowDowngradeToInsecureRepositories "false";',
                'APT::Get::AllowUnauthenticated "false";',
                'Dir::Etc::SourceParts "/dev/null";',
                'Dir::Etc::Preferences "/dev/null";',
                'Dir::Etc::PreferencesParts "/dev/null";',
                'Dir::Log "/dev/null";',
                'Acquire::Languages "none";',
                'Acquire::Retries "2";',
                'Acquire::http::Timeout "30";',
                'Acquire::https::Timeout "30";',
                'Debug::NoLocking "true";',
                *more,
                "",
            ]
        )

    def _update_failure(self, output: str) -> str:
        reason = _last_lines("\n".join(line for line in output.splitlines() if line[:2] in ("E:", "W:")) or output)
        if re.search(r"NO_PUBKEY|BADSIG|EXPKEYSIG|not signed|NODATA|Missing key|[Bb]ad signature|invalid sig", reason):
            remedy = (
                "the mirror or a proxy may have changed it: try another with CHASSIS_DEBIAN_MIRROR=URL; if the "
                "archive has a new key, update the package debian-archive-keyring\n"
                f"  {UNVERIFIED}=1 goes on without the signature and trusts the mirror and all that is between"
            )
        elif "Valid-Until" in reason or "expired" in reason:
            remedy = _OLD_INDEX
        else:
            remedy = f"the mirror is {self.mirror.origin}; set CHASSIS_DEBIAN_MIRROR=URL to use another one"
        return f"Debian's {self.suite} could not be read:\n{reason}\n  {remedy}"


def release_fields(text: str) -> dict[str, str]:
    """The fields of a Release or InRelease file, of its signed part alone."""
    if text.startswith("-----BEGIN PGP SIGNED MESSAGE-----"):
        text = text.partition("\n\n")[2].partition("-----BEGIN PGP SIGNATURE-----")[0]
    return dict(re.findall(r"^([A-Za-z0-9-]+):[ \t]*(.*?)[ \t\r]*$", text, flags=re.M))


def _is_to_come(date: str) -> bool:
    try:
        return parsedate_to_datetime(date.replace("UTC", "+0000")).timestamp() > time.time()
    except (ValueError, TypeError, OverflowError):
        return False


def _last_lines(text: str, count: int = 6) -> str:
    return "\n".join(f"  {line}" for line in text.strip().splitlines()[-count:])


def is_newer(version: str, than: str) -> bool:
    """Whether a version is above another, as dpkg compares them."""
    return subprocess.run(["dpkg", "--compare-versions", version, "gt", than], check=False).returncode == 0
