"""What no push can beat: hashing the bytes once, and bringing them through loopback to the disk."""

from __future__ import annotations

import hashlib
import os
import socket
import threading
from collections.abc import Sequence
from pathlib import Path

_BLOCK = 1 << 20
_LIMIT_S = 600


def sha256_of_files(files: Sequence[Path]) -> None:
    """Hashes every file, one after the other."""
    for file in files:
        with file.open("rb") as stream:
            hashlib.file_digest(stream, "sha256")


def copy_through_loopback(files: Sequence[Path], folder: Path) -> None:
    """Sends the files over one connection to a thread that writes each and waits for the disk, as a registry does
    before it says that it has a blob."""
    folder.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=_receive, args=(server, folder, [file.stat().st_size for file in files]))
        thread.start()
        with socket.create_connection(server.getsockname()) as sender:
            for file in files:
                with file.open("rb") as stream:
                    sender.sendfile(stream)
        thread.join(_LIMIT_S)


def _receive(server: socket.socket, folder: Path, sizes: Sequence[int]) -> None:
    connection, _ = server.accept()
    buffer = memoryview(bytearray(_BLOCK))
    with connection:
        for number, size in enumerate(sizes):
            with (folder / str(number)).open("wb", buffering=0) as stream:
                while size and (count := connection.recv_into(buffer[: min(size, _BLOCK)])):
                    stream.write(buffer[:count])
                    size -= count
                os.fsync(stream.fileno())
