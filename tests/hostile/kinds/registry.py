"""The registry client under answers of chance."""

from __future__ import annotations

import contextlib
import hashlib
import json
import random
import shutil
import time
import traceback
from pathlib import Path

from chassis.errors import ChassisError
from chassis.oci.descriptor import MEDIA_TYPE_MANIFEST, Descriptor
from chassis.oci.registry.transport import Backoff, Patience, Transport
from tests.hostile.kinds.kind import Finding
from tests.hostile.kinds.mutation import Mutation
from tests.hostile.registry.client_of import SECRETS, client_of
from tests.hostile.registry.hostile_server import Asked, HostileServer, reply

_SECONDS = 40.0
_PATIENCE = 0.15
_ONCE = Backoff(attempts=1, first=0.001, longest=0.01, longest_asked=0.01)
_CONTENT = b"content of a blob"
_BLOB = Descriptor("application/octet-stream", f"sha256:{hashlib.sha256(_CONTENT).hexdigest()}", len(_CONTENT))
_SEPARATOR = b"\n--next--\n"


class Registry:
    """Answers to a client that asks, pulls and pushes; its secrets are for the registry alone."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir()
        self._answers: list[bytes] = []
        self._transport = Transport(backoff=_ONCE, patience=Patience(_PATIENCE, 256))
        self._elsewhere = HostileServer(lambda asked: reply(404))
        self._registry = HostileServer(self._answer)
        self._elsewhere.__enter__()
        self._registry.__enter__()
        manifest = json.dumps({"schemaVersion": 2, "mediaType": MEDIA_TYPE_MANIFEST, "layers": []}).encode()
        digest = f"sha256:{hashlib.sha256(manifest).hexdigest()}"
        self._digest = digest
        bearer = f'Bearer realm="{self._registry.url}/token",service="s",scope="repository:x:pull"'
        samples = [
            reply(200, b"{}", Docker_Distribution_Api_Version="registry/2.0"),
            reply(401, WWW_Authenticate=bearer),
            reply(401, WWW_Authenticate='Basic realm="r"'),
            reply(200, json.dumps({"token": "t" * 40, "expires_in": 60}).encode()),
            reply(200, manifest, Content_Type=MEDIA_TYPE_MANIFEST, Docker_Content_Digest=digest),
            reply(200, _CONTENT, Content_Type="application/octet-stream"),
            reply(206, _CONTENT[5:], Content_Range=f"bytes 5-{len(_CONTENT) - 1}/{len(_CONTENT)}"),
            reply(202, Location="/v2/x/blobs/uploads/1?_state=a"),
            reply(201, Location="/v2/x/blobs/1", Docker_Content_Digest=_BLOB.digest),
            reply(307, Location=f"{self._elsewhere.url}/a"),
            reply(400, json.dumps({"errors": [{"code": "A", "message": "b", "detail": {"c": "d"}}]}).encode()),
            reply(404),
            reply(200, json.dumps({"manifests": []}).encode(), Link="</v2/x/referrers/a?n=1>; rel=next"),
        ]
        words = [
            self._elsewhere.url,
            self._registry.url,
            "Content-Length: ",
            "Transfer-Encoding: chunked\r\n",
            "Location: ",
        ]
        words += [
            "HTTP/1.1 ",
            "200",
            "206",
            "301",
            "307",
            "401",
            "429",
            "503",
            "Content-Encoding: gzip\r\n",
            "Retry-After: ",
        ]
        words += [
            "WWW-Authenticate: ",
            'realm="',
            "http://127.1/",
            "http://2130706433/",
            "//",
            "@",
            "[" * 3000,
            "\\ud800",
        ]
        words += [
            "Set-Cookie: a=b\r\n",
            "Docker-Content-Digest: ",
            "sha256:",
            "null",
            "{}",
            "100 Continue\r\n\r\n",
            "expires_in",
        ]
        self._mutation = Mutation(samples, [word.encode() for word in words])

    def _answer(self, asked: Asked) -> bytes:
        return self._answers.pop(0) if self._answers else reply(404)

    def make(self, chance: random.Random) -> bytes:
        return _SEPARATOR.join(self._mutation.make(chance) for _ in range(chance.randint(1, 8)))

    def attack(self, data: bytes) -> None:
        for work in ("ask", "pull", "push"):
            self._answers[:] = [part or b" " for part in data.split(_SEPARATOR)]
            place = self._folder / "run"
            place.mkdir()
            begin, said = time.monotonic(), ""
            try:
                self._work(work, place)
            except ChassisError as error:
                said = f"{error!r} {error}"
            except Exception:
                raise Finding(f"{work}: {traceback.format_exc()[-3000:]}") from None
            finally:
                left = [path.name for path in place.iterdir() if path.name not in (".docker", "source", "blob")]
                blob = place / "blob"
                whole = not blob.exists() or blob.read_bytes() == _CONTENT
                shutil.rmtree(place)
            if time.monotonic() - begin > _SECONDS:
                raise Finding(f"{work}: took {time.monotonic() - begin:.0f} s")
            if left or not whole:
                raise Finding(f"{work}: left {left}, or a blob that is not the one asked for")
            for secret in SECRETS:
                if secret in said:
                    raise Finding(f"{work}: tells a secret: {said[:500]}")
        for asked in self._elsewhere.requests:
            shown = f"{asked.path} {asked.headers} {asked.body!r}"
            if asked.has_log_in or any(secret in shown for secret in SECRETS):
                raise Finding(f"another server was sent a secret: {shown[:500]}")
        self._elsewhere.requests.clear()

    def _work(self, work: str, place: Path) -> None:
        client = client_of(self._registry.address, place, self._transport)
        if work == "ask":
            client.manifest_digest("latest")
            client.manifest(self._digest)
            client.referrers(self._digest)
        elif work == "pull":
            client.fetch_blob(_BLOB, place / "blob")
        else:
            (place / "source").write_bytes(_CONTENT)
            client.push_blob(_BLOB, place / "source", lambda *_: None)

    def look(self) -> None:
        """There is nothing that goes on between answers."""

    def close(self) -> None:
        for server in (self._registry, self._elsewhere):
            with contextlib.suppress(OSError):
                server.__exit__(None, None, None)
