"""Pushes a job's image with the credentials of the job, which stay in memory."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from chassis.oci.layout_reader import LayoutReader
from chassis.oci.push import UPLOADED, BlobReport, PushOptions, Watcher, push
from chassis.oci.registry.client import RegistryClient
from chassis.oci.registry.credentials import Credential, CredentialStore, Search
from chassis.oci.registry.reference import Repository, parse_repository
from chassis.oci.registry.transport import Cancellation, Transport
from chassis.service.job import JobRequest, RegistryCredentials
from chassis.service.job_log import JobLog

_CONNECTIONS = 8


class _Given(CredentialStore):
    """The credentials that came with a job, and no others."""

    def __init__(self, credentials: RegistryCredentials) -> None:
        super().__init__({})
        self._credentials = credentials

    def find(self, repository: Repository) -> Search:
        """Those of the job."""
        return Search(Credential("the job's own", self._credentials.username, self._credentials.password))

    def places(self) -> str:
        """For messages."""
        return "the credentials that came with the job"


class Publisher:
    """Pushes images, one at a time into one repository."""

    def __init__(self, insecure: bool = False, ca_file: Path | None = None) -> None:
        """Takes whether plain HTTP is allowed beyond loopback, and more authorities to trust."""
        self._insecure = insecure
        self._ca_file = ca_file
        self._lock = threading.Lock()
        self._repositories: dict[str, threading.Lock] = {}

    def push(
        self,
        layout: Path,
        request: JobRequest,
        credentials: RegistryCredentials | None,
        log: JobLog,
        cancellation: Cancellation,
    ) -> tuple[str, list[str]]:
        """Pushes `layout` to where `request` says; returns its digest and the tags that name it.

        Without credentials of the job, those that the service's own user has are taken. A failure sets no tag.

        Raises:
          ChassisError: the registry refuses, or cannot be reached.
        """
        repository = parse_repository(f"{request.registry}/{request.repository}")
        store = _Given(credentials) if credentials else CredentialStore(os.environ)
        transport = Transport(connections=_CONNECTIONS, ca_file=self._ca_file, cancellation=cancellation)
        with self._repository_lock(str(repository)):
            cancellation.check()
            client = RegistryClient(repository, transport, store, self._insecure)
            watcher = Watcher(blob=lambda report: log.line(_described(report)))
            report = push(LayoutReader(layout), client, request.tags, PushOptions(), cancellation, watcher)
        log.line(f"{repository}@{report.digest} pushed")
        for tag in report.tags:
            log.line(f"tag {tag} set")
        return report.digest, [*report.tags, *report.kept]

    def _repository_lock(self, repository: str) -> threading.Lock:
        with self._lock:
            return self._repositories.setdefault(repository, threading.Lock())


def _described(report: BlobReport) -> str:
    name = report.descriptor.digest.partition(":")[2][:12]
    verb = "uploaded" if report.outcome == UPLOADED else report.outcome
    return f"blob {name} {verb}, {report.descriptor.size} bytes"
