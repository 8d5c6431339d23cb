"""A Debian archive in a directory, made with dpkg-deb: what tests run apt against, without a network."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
import weakref
from collections.abc import Mapping
from pathlib import Path

from chassis.debian.sources import Mirror

_DATE = "Thu, 01 Jan 2026 00:00:00 UTC"


class LocalArchive:
    """One suite in `directory`; `add` packages, then `publish`. It is unsigned unless `sign` follows."""

    def __init__(
        self, directory: Path, suite: str = "forky", architecture: str = "amd64", pool: str = "pool/main"
    ) -> None:
        self.directory = directory
        self.suite = suite
        self.architecture = architecture
        self._pool = pool
        self._stanzas: list[str] = []
        # apt makes file names of URIs, and those have an end: a short way to a directory of any depth.
        short = Path(tempfile.mkdtemp(prefix="archive-", dir="/tmp"))
        weakref.finalize(self, shutil.rmtree, short, ignore_errors=True)
        self._link = short / "d"
        self._link.symlink_to(directory.absolute())

    @property
    def mirror(self) -> Mirror:
        """The archive as a mirror; apt copies from it as it would download."""
        return Mirror(f"copy:{self._link}", "a directory of this test")

    def add(
        self, name: str, files: Mapping[str, str | bytes] | None = None, version: str = "1.0", **fields: str
    ) -> Path:
        """Builds a package of `files` (path to content; a content `-> X` makes a link) and control `fields`.

        Field names are given with `_` for `-`. Returns the .deb in the pool.
        """
        tree = self.directory / "build" / f"{name}-{version}"
        control = {
            "Package": name,
            "Version": version,
            "Architecture": self.architecture,
            "Maintainer": "Nobody <nobody@example.org>",
            "Description": f"package {name} of a test",
            **{key.replace("_", "-"): value for key, value in fields.items()},
        }
        (tree / "DEBIAN").mkdir(parents=True)
        stanza = "".join(f"{key}: {value}\n" for key, value in control.items())
        (tree / "DEBIAN/control").write_text(stanza)
        for path, content in (files or {}).items():
            target = tree / path
            target.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, bytes):
                target.write_bytes(content)
            elif content.startswith("-> "):
                target.symlink_to(content[3:])
            else:
                target.write_text(content)
                target.chmod(0o755 if content.startswith("#!") else 0o644)
        filename = f"{name}_{version.rpartition(':')[2]}_{self.architecture}.deb"
        pool = f"{self._pool}/{name[0]}/{name}/{filename}"
        package = self.directory / pool
        package.parent.mkdir(parents=True, exist_ok=True)
        command = ["dpkg-deb", "--root-owner-group", "--build", str(tree), str(package)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        data = package.read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        self._stanzas.append(f"{stanza}Filename: {pool}\nSize: {len(data)}\nSHA256: {digest}\n")
        return package

    @property
    def suite_directory(self) -> Path:
        """Where Release and InRelease are."""
        return self.directory / "dists" / self.suite

    def publish(self, **fields: str) -> None:
        """Writes the index and the Release file that vouches for it, with more `fields`, such as Valid_Until."""
        index = f"main/binary-{self.architecture}/Packages"
        data = "\n".join(self._stanzas).encode()
        suite = self.suite_directory
        (suite / index).parent.mkdir(parents=True, exist_ok=True)
        (suite / index).write_bytes(data)
        release = {
            "Origin": "Test",
            "Suite": self.suite,
            "Codename": self.suite,
            "Date": _DATE,
            "Architectures": self.architecture,
            "Components": "main",
            **{key.replace("_", "-"): value for key, value in fields.items()},
        }
        text = "".join(f"{key}: {value}\n" for key, value in release.items())
        text += f"SHA256:\n {hashlib.sha256(data).hexdigest()} {len(data)} {index}\n"
        (suite / "Release").write_text(text)

    def sign(self, key: SigningKey) -> Path:
        """Writes InRelease, signed with a key; returns its path."""
        from pysequoia import SignatureMode, sign

        signed = self.suite_directory / "InRelease"
        release = (self.suite_directory / "Release").read_bytes()
        signed.write_bytes(sign(key.secret.signer(), release, mode=SignatureMode.CLEAR))
        return signed


def path_without_verifiers(folder: Path) -> str:
    """A PATH of a new `folder` with every program of the machine but those that check signatures."""
    hidden = ("gpgv", "gpgv1", "gpgv2", "gpgv-sq", "sqv", "gpg", "gpg1", "gpg2")
    folder.mkdir()
    for directory in os.environ["PATH"].split(":"):
        for program in Path(directory).iterdir() if Path(directory).is_dir() else ():
            link = folder / program.name
            if program.name not in hidden and not link.is_symlink():
                link.symlink_to(program)
    return str(folder)


class SigningKey:
    """A new key of a test's archive."""

    def __init__(self, name: str = "Test Archive <archive@example.org>") -> None:
        from pysequoia import Tsk

        self.secret = Tsk.generate(name)

    def write(self, path: Path) -> Path:
        """Writes the public half, armored, and returns the path."""
        path.write_text(str(self.secret.extract_certificate()))
        return path
