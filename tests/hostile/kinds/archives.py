"""Readers of archives under archives of chance: sdists, uploads, and what becomes a layer (tests/fuzz)."""

from __future__ import annotations

import gzip
import io
import random
import resource
import shutil
import tarfile
import time
import traceback
import zipfile
from pathlib import Path

from chassis.errors import ChassisError
from chassis.locking.sdist_metadata import read_metadata
from chassis.service.upload import Limits, UploadError, unpack
from tests.fuzz import package_target, tar_target, wheel_target
from tests.fuzz.findings import Finding as LayerFinding
from tests.fuzz.recipes import seeds
from tests.hostile.kinds.kind import Finding
from tests.hostile.kinds.mutation import Mutation

_SECONDS = 20.0
_MAX_GROWTH_KB = 400 << 10
_INFO = "Metadata-Version: 2.1\nName: small\nVersion: 1.0\nRequires-Dist: six>=1 ; python_version > '3'\n"
_LAYERS = {b"w": wheel_target.check, b"d": package_target.check, b"t": tar_target.check}
_NAMES = {b"w": "wheel", b"d": "deb", b"t": "tar"}


class Archives:
    """The first byte says which reader an input is for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir()
        words = [
            b"PKG-INFO",
            b"requires.txt",
            b"Requires-Dist: ",
            b"ustar\x0000",
            b"PK\1\2",
            b"PK\5\6",
            b"\x1f\x8b\x08",
            b"../",
            b"[x:",
        ]
        words += [
            b"\x80" + b"\xff" * 7,
            b"\xfd7zXZ\0",
            b"BZh9",
            b"\xff\xff\xff\xff",
            b"x",
            b"g",
            b"L",
            b"S",
            b"a @ https://b/c\n",
        ]
        tars, zips = _sdists()
        samples = {b"s": tars, b"z": zips, b"u": tars}
        samples |= {key: seeds()[name] for key, name in _NAMES.items()}
        self._mutations = {key: Mutation(given, words) for key, given in samples.items()}
        self._before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    def make(self, chance: random.Random) -> bytes:
        key = chance.choice(list(self._mutations))
        made = self._mutations[key].make(chance)
        if key in b"su" and chance.random() < 0.5:
            made = gzip.compress(made, 1)
        return key + made

    def attack(self, data: bytes) -> None:
        key, content = data[:1], data[1:]
        place = self._folder / "run"
        begin = time.monotonic()
        try:
            if key in _LAYERS:
                _LAYERS[key](content, place)
            elif key == b"u":
                place.mkdir()
                unpack(io.BytesIO(content), place, Limits(1 << 20, 1 << 20, 100))
            else:
                file = "small-1.0.zip" if key == b"z" else "small-1.0.tar.gz"
                read_metadata(io.BytesIO(content), file, "small", "1.0")
        except (ChassisError, UploadError):
            pass
        except LayerFinding as error:
            raise Finding(str(error)) from None
        except Exception:
            raise Finding(traceback.format_exc()[-3000:]) from None
        finally:
            shutil.rmtree(place, ignore_errors=True)
        if time.monotonic() - begin > _SECONDS:
            raise Finding(f"took {time.monotonic() - begin:.0f} s")

    def look(self) -> None:
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - self._before
        if grown > _MAX_GROWTH_KB:
            raise Finding(f"took {grown >> 10} MiB")
        if any(self._folder.iterdir()):
            raise Finding(f"left {[path.name for path in self._folder.iterdir()]}")

    def close(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)


def _sdists() -> tuple[list[bytes], list[bytes]]:
    files = {
        "PKG-INFO": _INFO,
        "small.egg-info/requires.txt": "six\n[fast]\ncython\n[:os_name=='posix']\na\n",
        "a.py": "x",
    }
    tars, zips = [], []
    for kind in (tarfile.USTAR_FORMAT, tarfile.PAX_FORMAT, tarfile.GNU_FORMAT):
        content = io.BytesIO()
        with tarfile.open(fileobj=content, mode="w", format=kind) as archive:
            for path, text in files.items():
                info = tarfile.TarInfo(
                    f"small-1.0/{path}{'n' * 120 if path == 'a.py' and kind != tarfile.USTAR_FORMAT else ''}"
                )
                info.size = len(text)
                archive.addfile(info, io.BytesIO(text.encode()))
        tars.append(content.getvalue())
    for compression in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w", compression) as archive:
            for path, text in files.items():
                archive.writestr(f"small-1.0/{path}", text)
        zips.append(content.getvalue())
    return tars, zips
