"""Pushes a job's image with the credentials of the job, which stay in memory."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path

from chassis.oci.layout_reader import LayoutReader
from chassis.oci.push import UPLOADED, BlobReport, PushOptions, Watcher, push
from chassis.oci.registry.client import RegistryClient
from chassis.oci.registry.reference import parse_repository
from chassis.oci.registry.transport import Cancellation, Transport
from chassis.service.addresses import AddressPolicy
from chassis.service.job import JobRequest, RegistryCredentials
from chassis.service.job_log import JobLog
from chassis.service.own_credentials import OwnCredentials

_CONNECTIONS = 8
_WAIT_SECONDS = 0.2
_NOWHERE = OwnCredentials()


class Publisher:
    """Pushes images, one at a time into one repository."""

    def __init__(
        self,
        insecure: bool = False,
        ca_file: Path | None = None,
        own: OwnCredentials = _NOWHERE,
        addresses: AddressPolicy | None = None,
    ) -> None:
        """Takes whether plain HTTP is allowed beyond loopback, and more authorities to trust.

        `own` says for which repositories the credentials of the service's own user serve, `addresses` where registries
        may be; without it they may be anywhere.
        """
        self._insecure = insecure
        self._own = own
        self._addresses = addresses
        self._ca_file = ca_file
        self._changed = threading.Condition()
        self._pushing: set[str] = set()

    def push(
        self,
        layout: Path,
        request: JobRequest,
        client: str,
        credentials: RegistryCredentials | None,
        log: JobLog,
        cancellation: Cancellation,
    ) -> tuple[str, list[str]]:
        """Pushes `layout` to where `request` says; returns its digest and the tags that name it.

        Without credentials of the job, those that the service's own user has are taken if the operator lets them
        serve for `client`. A failure sets no tag.

        Raises:
          ChassisError: the registry refuses, or cannot be reached.
        """
        repository = parse_repository(f"{request.registry}/{request.repository}")
        store = self._own.store(repository, client, credentials, os.environ)
        transport = Transport(
            connections=_CONNECTIONS,
            ca_file=self._ca_file,
            cancellation=cancellation,
            addresses=self._addresses.addresses if self._addresses else None,
            secrets=log.secrets,
        )
        with self._alone(str(repository), cancellation):
            registry = RegistryClient(repository, transport, store, self._insecure)
            watcher = Watcher(blob=lambda report: log.line(_described(report)))
            report = push(LayoutReader(layout), registry, request.tags, PushOptions(), cancellation, watcher)
        log.line(f"{repository}@{report.digest} pushed")
        for tag in report.tags:
            log.line(f"tag {tag} set")
        return report.digest, [*report.tags, *report.kept]

    @contextlib.contextmanager
    def _alone(self, repository: str, cancellation: Cancellation) -> Iterator[None]:
        """Waits until nobody else pushes there; a job whose time is over waits no longer."""
        with self._changed:
            cancellation.check()
            while repository in self._pushing:
                self._changed.wait(_WAIT_SECONDS)
                cancellation.check()
            self._pushing.add(repository)
        try:
            yield
        finally:
            with self._changed:
                self._pushing.remove(repository)
                self._changed.notify_all()


def _described(report: BlobReport) -> str:
    name = report.descriptor.digest.partition(":")[2][:12]
    verb = "uploaded" if report.outcome == UPLOADED else report.outcome
    return f"blob {name} {verb}, {report.descriptor.size} bytes"
