"""The caches that Bazel is set to use, as places to take blobs from."""

from __future__ import annotations

import base64
import urllib.parse
from collections.abc import Mapping
from pathlib import Path

from chassis.oci.blob_store import BlobStore
from chassis.oci.caches.bazel_settings import BazelSettings, BazelSettingsError, credentials
from chassis.oci.caches.disk_cache import DiskCache
from chassis.oci.caches.http_cache import HttpCache


def stores_of(settings: BazelSettings, workspace: Path, environment: Mapping[str, str]) -> list[BlobStore]:
    """The disk cache, then the remote one.

    Raises:
      BazelSettingsError: the remote cache's address is malformed, or its credentials cannot be had.
    """
    stores: list[BlobStore] = []
    disk = settings.single.get("disk_cache", "")
    if disk:
        home = environment.get("HOME", "")
        stores.append(DiskCache(workspace / disk.replace("%workspace%", str(workspace)).replace("~/", f"{home}/", 1)))
    remote = settings.single.get("remote_cache") or settings.single.get("remote_executor") or ""
    if remote:
        stores.append(_remote(remote, settings, workspace, environment))
    return stores


def _remote(address: str, settings: BazelSettings, workspace: Path, environment: Mapping[str, str]) -> BlobStore:
    url = address if "://" in address or address.startswith("unix:") else f"grpcs://{address}"
    parts = urllib.parse.urlsplit(url)
    authorities = _file(settings, "tls_certificate", workspace)
    asked = url.replace("grpcs://", "https://", 1).replace("grpc://", "http://", 1)
    headers = credentials(settings, asked, workspace, environment) | settings.headers()
    if parts.scheme in ("http", "https") and parts.hostname:
        if parts.username is not None:
            pair = f"{urllib.parse.unquote(parts.username)}:{urllib.parse.unquote(parts.password or '')}"
            headers = {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()} | headers
            url = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
        return HttpCache(url, headers, authorities)
    if parts.scheme not in ("grpc", "grpcs", "unix") or not (parts.netloc or parts.scheme == "unix"):
        raise BazelSettingsError(f"remote cache {address!r}: http, https, grpc, grpcs or unix is expected")
    # Imported only here: most pushes have no need of gRPC, which takes long to load.
    from chassis.oci.caches.grpc_cache import GrpcCache, GrpcTls

    tls = None
    if parts.scheme == "grpcs":
        certificate, key = (_file(settings, f"tls_client_{what}", workspace) for what in ("certificate", "key"))
        tls = GrpcTls(authorities, certificate, key)
    target = url if parts.scheme == "unix" else parts.netloc
    return GrpcCache(target, settings.single.get("remote_instance_name", ""), headers, tls)


def _file(settings: BazelSettings, name: str, workspace: Path) -> Path | None:
    value = settings.single.get(name)
    return workspace / value.replace("%workspace%", str(workspace)) if value else None
