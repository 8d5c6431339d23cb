"""The build service of another process, over HTTP."""

from __future__ import annotations

import json
import tempfile
import urllib.parse
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

import urllib3

from chassis.build_api.build_service import BuildService, Document
from chassis.errors import ChassisError
from chassis.packed_model.model import PackedModel, write_archive

_CONNECT_SECONDS = 10.0
_READ_SECONDS = 300.0
_BLOCK = 1 << 18


class ServiceError(ChassisError):
    """What the build service refused; the message is its own."""


class ServiceUnreachableError(ServiceError):
    """The build service does not answer."""


class RemoteService(BuildService):
    """A build service by its URL."""

    def __init__(self, base_url: str, auth_header: str | None, ssl_verification: bool | str) -> None:
        """Takes the URL, the value of the Authorization header, and whether to check certificates (or by which file).

        Raises:
          ServiceError: that is not an http or https URL.
        """
        parts = urllib.parse.urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ServiceError(f"{base_url!r}: expected the URL of a build service, such as http://localhost:5000")
        self.url = base_url.rstrip("/")
        self._headers = {"authorization": auth_header} if auth_header else {}
        options: dict[str, Any] = {}
        if ssl_verification is False:
            options["cert_reqs"] = "CERT_NONE"
        elif isinstance(ssl_verification, str):
            options["ca_certs"] = ssl_verification
        timeout = urllib3.Timeout(connect=_CONNECT_SECONDS, read=_READ_SECONDS)
        self._pool = urllib3.PoolManager(retries=False, timeout=timeout, **options)

    def default_registry(self) -> str:
        """Where the service pushes what names no registry; empty for nowhere."""
        return str(self._json("GET", "/api/jobs").get("registry", ""))

    def upload(self, model: PackedModel) -> str:
        """Sends a model; returns the upload's id."""
        with tempfile.TemporaryFile() as archive:
            write_archive(model, archive)
            size = archive.tell()
            archive.seek(0)
            headers = {"content-type": "application/x-tar", "content-length": str(size)}
            return str(self._json("POST", "/api/uploads", archive, headers)["upload_id"])

    def submit(self, submission: Mapping[str, object]) -> Document:
        """Makes a job of an upload; returns it."""
        return self._send("POST", "/api/jobs", submission)

    def status(self, job_id: str) -> Document:
        """The job."""
        return self._json("GET", f"/api/jobs/{_quoted(job_id)}")

    def cancel(self, job_id: str) -> Document:
        """Cancels the job; returns it."""
        return self._send("POST", f"/api/jobs/{_quoted(job_id)}/cancel", {})

    def give_credentials(self, job_id: str, credentials: Mapping[str, str]) -> None:
        """Gives a job that waits for them its credentials again."""
        self._send("PUT", f"/api/jobs/{_quoted(job_id)}/credentials", credentials)

    def logs(self, job_id: str, follow: bool) -> Iterator[bytes]:
        """The log in blocks; with `follow` as it grows, until the job has ended."""
        offset = 0
        while True:
            path = f"/api/jobs/{_quoted(job_id)}/logs?offset={offset}&follow={int(follow)}"
            answer = self._request("GET", path, stream=True)
            try:
                for block in answer.stream(_BLOCK):
                    offset += len(block)
                    yield block
                return
            except urllib3.exceptions.ReadTimeoutError:
                # A build that says nothing for minutes: asked again for what follows.
                continue
            except urllib3.exceptions.HTTPError as error:
                raise self._unreachable(error) from None
            finally:
                answer.close()

    def image(self, job_id: str, output: BinaryIO) -> None:
        """Writes the image of a job as an OCI archive."""
        answer = self._request("GET", f"/api/jobs/{_quoted(job_id)}/image", stream=True)
        try:
            for block in answer.stream(_BLOCK):
                output.write(block)
        except urllib3.exceptions.HTTPError as error:
            raise self._unreachable(error) from None
        finally:
            answer.close()

    def webhook_secret(self) -> str:
        """What the service signs the webhooks of this client's jobs with."""
        return str(self._json("GET", "/api/webhook_secret")["webhook_secret"])

    def close(self) -> None:
        """Lets go of connections."""
        self._pool.clear()

    def _send(self, method: str, path: str, document: Mapping[str, object]) -> Document:
        return self._json(method, path, json.dumps(document).encode(), {"content-type": "application/json"})

    def _json(
        self, method: str, path: str, body: bytes | BinaryIO | None = None, headers: Mapping[str, str] | None = None
    ) -> Document:
        answer = self._request(method, path, body, headers)
        try:
            document = json.loads(answer.data)
        except ValueError:
            document = None
        if not isinstance(document, dict):
            raise ServiceError(f"{self.url}: no build service: {method} {path} answers with something else than JSON")
        return document

    def _request(
        self,
        method: str,
        path: str,
        body: bytes | BinaryIO | None = None,
        headers: Mapping[str, str] | None = None,
        stream: bool = False,
    ) -> urllib3.BaseHTTPResponse:
        try:
            answer = self._pool.request(
                method,
                self.url + path,
                body=body,
                headers={**self._headers, **(headers or {})},
                preload_content=not stream,
                redirect=False,
            )
        except urllib3.exceptions.HTTPError as error:
            raise self._unreachable(error) from None
        if 200 <= answer.status < 300:
            return answer
        content = answer.read(1 << 16) if stream else answer.data
        answer.close()
        raise ServiceError(_refusal(answer.status, content, f"{self.url}{path.partition('?')[0]}"))

    def _unreachable(self, error: Exception) -> ServiceUnreachableError:
        reason = getattr(error, "reason", None) or error
        return ServiceUnreachableError(
            f"the build service {self.url} cannot be reached: {str(reason).rpartition(': ')[2]}\n"
            "  start it with: ./bazelw run //chassis/service -- --port 5000"
        )


def _refusal(status: int, content: bytes, where: str) -> str:
    try:
        return f"{json.loads(content)['error']} (status {status})"
    except (ValueError, KeyError, TypeError):
        return f"{where} answers with status {status}; is it a build service?"


def _quoted(job_id: str) -> str:
    return urllib.parse.quote(str(job_id), safe="")
