"""A registry in memory with the referrers API, which neither Debian's docker-registry nor crane's has.

Specification: OCI distribution specification 1.1. Programs of others, cosign and oras, are its clients as ours are.
"""

from __future__ import annotations

import hashlib
import json
import re
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.support.loopback_server import LoopbackServer

_PATH = re.compile(r"/v2/(?P<name>.+)/(?P<kind>manifests|blobs|referrers|tags)/(?P<reference>[^/]+|uploads/[^/]*)")
INDEX = "application/vnd.oci.image.index.v1+json"


class ReferrersRegistry(LoopbackServer):
    """The registry; a context manager. `requests` are method and path of all that came; `hostile` answers a path's
    referrers instead, if it is set."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.manifests: dict[tuple[str, str], tuple[str, bytes]] = {}
        self.tags: dict[tuple[str, str], str] = {}
        self.requests: list[tuple[str, str]] = []
        self.hostile: Any = None
        self.refuse: Any = lambda method, path: False
        server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        server.registry = self
        super().__init__(server)

    def manifest(self, name: str, reference: str) -> tuple[str, str, bytes] | None:
        """Digest, media type and bytes of what a tag or digest names."""
        digest = self.tags.get((name, reference), reference)
        found = self.manifests.get((name, digest))
        return (digest, *found) if found else None

    def add(self, name: str, media_type: str, data: bytes) -> str:
        """Takes a manifest, whatever it says; returns its digest."""
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        self.manifests[name, digest] = (media_type, data)
        return digest

    def referrers(self, name: str, subject: str) -> list[dict[str, Any]]:
        """The descriptors of what refers to a manifest."""
        found = []
        for (repository, digest), (media_type, data) in self.manifests.items():
            document = json.loads(data)
            if repository != name or (document.get("subject") or {}).get("digest") != subject:
                continue
            kind = document.get("artifactType") or document["config"]["mediaType"]
            entry = {"mediaType": media_type, "digest": digest, "size": len(data), "artifactType": kind}
            found.append(entry | {"annotations": document.get("annotations") or {}})
        return found


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""

    def _serve(self) -> None:
        registry: ReferrersRegistry = self.server.registry
        url = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        registry.requests.append((self.command, self.path))
        if registry.refuse(self.command, self.path):
            self._answer(403, b"{}")
            return
        if url.path == "/v2/":
            self._answer(200, b"{}")
            return
        match = _PATH.fullmatch(url.path)
        if match is None:
            self._answer(404, b"{}")
            return
        getattr(self, f"_{match['kind']}")(registry, match["name"], match["reference"], parse_qs(url.query), body)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = _serve

    def _manifests(self, registry: Any, name: str, reference: str, query: Any, body: bytes) -> None:
        if self.command == "PUT":
            digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
            registry.manifests[name, digest] = (self.headers["Content-Type"], body)
            if not reference.startswith("sha256:"):
                registry.tags[name, reference] = digest
            subject = (json.loads(body).get("subject") or {}).get("digest")
            self._answer(201, b"", {"Docker-Content-Digest": digest, "OCI-Subject": subject})
            return
        found = registry.manifest(name, reference)
        if found is None:
            self._answer(404, b'{"errors": [{"code": "MANIFEST_UNKNOWN"}]}')
            return
        digest, media_type, data = found
        self._answer(200, data, {"Docker-Content-Digest": digest, "Content-Type": media_type})

    def _blobs(self, registry: Any, name: str, reference: str, query: Any, body: bytes) -> None:
        if self.command in ("GET", "HEAD"):
            data = registry.blobs.get(reference)
            if data is None:
                self._answer(404, b'{"errors": [{"code": "BLOB_UNKNOWN"}]}')
            else:
                self._answer(200, data, {"Docker-Content-Digest": reference})
            return
        upload = reference.partition("/")[2] or f"{len(registry.requests)}"
        held = registry.blobs.setdefault(f"upload {upload}", b"") + body
        registry.blobs[f"upload {upload}"] = held
        digest = query.get("digest", [""])[0]
        if self.command == "PUT":
            good = digest == f"sha256:{hashlib.sha256(held).hexdigest()}"
            registry.blobs[digest] = registry.blobs.pop(f"upload {upload}")
            self._answer(201 if good else 400, b"", {"Docker-Content-Digest": digest})
            return
        where = f"/v2/{name}/blobs/uploads/{upload}"
        self._answer(202, b"", {"Location": where, "Range": f"0-{max(0, len(held) - 1)}"})

    def _referrers(self, registry: Any, name: str, reference: str, query: Any, body: bytes) -> None:
        if registry.hostile is not None:
            status, data, headers = registry.hostile(reference, query)
            self._answer(status, data, headers)
            return
        listed = registry.referrers(name, reference)
        document = {"schemaVersion": 2, "mediaType": INDEX, "manifests": listed}
        self._answer(200, json.dumps(document).encode(), {"Content-Type": INDEX})

    def _tags(self, registry: Any, name: str, reference: str, query: Any, body: bytes) -> None:
        tags = sorted(tag for repository, tag in registry.tags if repository == name)
        self._answer(200, json.dumps({"name": name, "tags": tags}).encode())

    def _answer(self, status: int, body: bytes, headers: dict[str, str | None] | None = None) -> None:
        self.send_response_only(status)
        for key, value in (headers or {}).items():
            if value:
                self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
