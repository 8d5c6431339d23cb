"""Pushing an image of which only the documents are here: what a registry lacks comes from where it is."""

from __future__ import annotations

import functools
import shutil
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from chassis.oci.blob_store import BlobStore, FileStore
from chassis.oci.caches.bazel_settings import BazelSettings
from chassis.oci.caches.cas_server import CasServer
from chassis.oci.caches.stores import stores_of
from chassis.oci.digest import hex_of, of_file
from chassis.oci.layout_reader import LayoutReader
from chassis.oci.push import MOUNTED, SKIPPED, UPLOADED, MissingBlobError, PushOptions, PushReport, push
from chassis.oci.registry.client import RegistryClient
from chassis.oci.registry.credentials import CredentialStore
from chassis.oci.registry.errors import RegistryError
from chassis.oci.registry.mount_sources import MountSources
from chassis.oci.registry.reference import parse_repository
from chassis.oci.registry.transport import Backoff, Cancellation, Patience, Transport
from tests.publishing.fault_proxy import FaultProxy, Harm
from tests.publishing.push_tool import run_tool
from tests.publishing.registry_server import RegistryServer
from tests.publishing.sample_images import LAYER, sample_image
from tests.publishing.second_opinions import assert_whole

KIB = 1 << 10
SIZES = (3_000 * KIB, 700 * KIB, 10)


def documents_of(layout: Path) -> tuple[Path, dict[str, Path]]:
    """A copy of a layout without its layers, and those apart."""
    documents, apart = layout.with_name(layout.name + ".documents"), layout.with_name(layout.name + ".layers")
    shutil.copytree(layout, documents)
    apart.mkdir()
    reader = LayoutReader(layout)
    files = {}
    for blob in reader.manifest(reader.entry()).blobs:
        if blob.media_type == LAYER:
            path = documents / "blobs/sha256" / blob.digest.removeprefix("sha256:")
            files[blob.digest] = path.rename(apart / path.name)
    return documents, files


def publish(
    layout: Path,
    repository: str,
    *stores: BlobStore,
    mount_from: str = "",
    patience: Patience | None = None,
) -> PushReport:
    cancellation = Cancellation()
    transport = Transport(backoff=Backoff(first=0.01), cancellation=cancellation, patience=patience)
    client = RegistryClient(parse_repository(repository), transport, CredentialStore({"HOME": "/nonexistent"}))
    sources = MountSources(client.repository, None, [mount_from] if mount_from else [])
    return push(LayoutReader(layout), client, ["v1"], PushOptions(), cancellation, sources=sources, stores=stores)


def remote(server: CasServer, folder: Path) -> BlobStore:
    return stores_of(BazelSettings({"remote_cache": f"grpc://127.0.0.1:{server.port}"}), folder, {})[0]


def test_outputs_of_the_build_are_taken(registry: RegistryServer, tmp_path: Path) -> None:
    layout, digest = sample_image(tmp_path / "image", *SIZES, seed=100)
    documents, files = documents_of(layout)
    report = publish(documents, f"{registry.address}/outputs", FileStore(files))
    assert report.count(UPLOADED)[0] == 4
    assert_whole(f"{registry.address}/outputs:v1", digest)


def test_what_is_here_comes_first_and_only_the_rest_from_the_remote_cache(
    registry: RegistryServer, tmp_path: Path
) -> None:
    layout, digest = sample_image(tmp_path / "image", *SIZES, seed=101)
    documents, files = documents_of(layout)
    *here, away = files
    with CasServer() as server:
        server.add(files[away].read_bytes())
        local = FileStore({name: files[name] for name in here})
        publish(documents, f"{registry.address}/mixed", local, remote(server, tmp_path))
        assert server.asked == [[away.removeprefix("sha256:")]]
        assert [name for name, _ in server.reads] == [away.removeprefix("sha256:")]
    assert_whole(f"{registry.address}/mixed:v1", digest)


def test_a_remote_cache_streams_every_layer_and_goes_on_after_breaks(registry: RegistryServer, tmp_path: Path) -> None:
    layout, digest = sample_image(tmp_path / "image", *SIZES, seed=102)
    documents, files = documents_of(layout)
    with CasServer() as server:
        for file in files.values():
            server.add(file.read_bytes())
        server.breaks, server.break_after = 3, 200 * KIB
        report = publish(documents, f"{registry.address}/streamed", remote(server, tmp_path))
        assert any(offset for _, offset in server.reads), "goes on from where it was, not from the start"
        assert server.sent == sum(file.stat().st_size for file in files.values()), "no byte went twice"
    assert report.count(UPLOADED)[0] == 4
    assert_whole(f"{registry.address}/streamed:v1", digest)


def test_a_registry_that_breaks_off_is_sent_the_rest_from_the_remote_cache(
    registry: RegistryServer, proxy: FaultProxy, tmp_path: Path
) -> None:
    layout, digest = sample_image(tmp_path / "image", *SIZES, seed=103)
    documents, files = documents_of(layout)
    cut = {"left": 2}

    def rule(request) -> Harm | None:
        if request.method == "PATCH" and cut["left"]:
            cut["left"] -= 1
            return Harm(cut_request=300 * KIB)
        return None

    proxy.rule = rule
    with CasServer() as server:
        for file in files.values():
            server.add(file.read_bytes())
        publish(documents, f"{proxy.address}/cut", remote(server, tmp_path))
    assert_whole(f"{registry.address}/cut:v1", digest)


def test_a_cache_that_is_read_for_longer_than_an_answer_may_take_is_waited_for(
    registry: RegistryServer, tmp_path: Path
) -> None:
    """The time that the registry's answer has does not run while the cache brings the body."""
    layout, digest = sample_image(tmp_path / "image", 3_000 * KIB, seed=109)
    documents, files = documents_of(layout)
    folder = tmp_path / "cache" / "cas"
    folder.mkdir(parents=True)
    for name, file in files.items():
        shutil.copy(file, folder / name.removeprefix("sha256:"))
    with SlowFiles(folder.parent, seconds=1.5) as cache:
        [store] = stores_of(BazelSettings({"remote_cache": cache}), tmp_path, {})
        publish(documents, f"{registry.address}/slow", store, patience=Patience(seconds=0.7))
    assert_whole(f"{registry.address}/slow:v1", digest)


class SlowFiles:
    """Files over HTTP, each of which takes some seconds; a context manager that gives the URL."""

    def __init__(self, folder: Path, seconds: float) -> None:
        pieces = 10
        pause = threading.Event()

        class Handler(SimpleHTTPRequestHandler):
            def copyfile(self, source: Any, outputfile: Any) -> None:
                data = source.read()
                for start in range(0, len(data), len(data) // pieces):
                    pause.wait(seconds / pieces)
                    outputfile.write(data[start : start + len(data) // pieces])

            def log_message(self, format: str, *args: object) -> None:
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder)))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> str:
        self._thread.start()
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def test_nothing_is_read_if_the_registry_has_all(registry: RegistryServer, tmp_path: Path) -> None:
    layout, _ = sample_image(tmp_path / "image", *SIZES, seed=104)
    publish(layout, f"{registry.address}/there")
    documents, _ = documents_of(layout)
    with CasServer() as server:
        report = publish(documents, f"{registry.address}/there", remote(server, tmp_path))
        assert (server.asked, server.reads) == ([], [])
    assert report.count(SKIPPED)[0] == 4


def test_nothing_is_read_if_the_registry_mounts_all(registry: RegistryServer, tmp_path: Path) -> None:
    layout, digest = sample_image(tmp_path / "image", *SIZES, seed=105)
    publish(layout, f"{registry.address}/source")
    documents, _ = documents_of(layout)
    with CasServer() as server:
        report = publish(documents, f"{registry.address}/mounting", remote(server, tmp_path), mount_from="source")
        assert (server.asked, server.reads) == ([], [])
    assert report.count(MOUNTED)[0] == 4
    assert_whole(f"{registry.address}/mounting:v1", digest)


def test_a_blob_that_is_nowhere_is_named_before_anything_is_sent(proxy: FaultProxy, tmp_path: Path) -> None:
    layout, _ = sample_image(tmp_path / "image", *SIZES, seed=106)
    documents, files = documents_of(layout)
    *_, away = files
    files.pop(away)
    with pytest.raises(MissingBlobError, match=away):
        publish(documents, f"{proxy.address}/nowhere", FileStore(files))
    assert {request.method for request in proxy.requests} == {"GET", "HEAD"}


def test_an_output_that_is_another_blobs_is_named_and_leaves_no_tag(registry: RegistryServer, tmp_path: Path) -> None:
    layout, digest = sample_image(tmp_path / "image", *SIZES, seed=107)
    documents, files = documents_of(layout)
    *_, last = files
    changed = bytearray(files[last].read_bytes())
    changed[-1] ^= 1
    files[last].write_bytes(changed)
    with pytest.raises(RegistryError, match=f"{files[last]}: changed since the image was built"):
        publish(documents, f"{registry.address}/stale", FileStore(files))
    assert of_file(files[last])[0] != last
    cancellation = Cancellation()
    client = RegistryClient(
        parse_repository(f"{registry.address}/stale"),
        Transport(cancellation=cancellation),
        CredentialStore({"HOME": "/x"}),
    )
    assert client.manifest_digest("v1") == client.manifest_digest(digest) == ""


def test_the_tool_reads_bazels_rc_files(registry: RegistryServer, tmp_path: Path) -> None:
    layout, digest = sample_image(tmp_path / "image", *SIZES, seed=108)
    documents, files = documents_of(layout)
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    with CasServer(instance="main", headers={"x-key": "k"}) as server:
        for file in files.values():
            server.add(file.read_bytes())
        arguments = (f"--image={documents}", f"--repository={registry.address}/tool", "--tag=v1")
        environment = {"BUILD_WORKSPACE_DIRECTORY": str(workspace)}
        done = run_tool("push", *arguments, **environment)
        assert done.returncode == 1
        assert "lacks 3 blobs of the image" in done.stderr
        (workspace / ".bazelrc").write_text(
            f"build:remote --remote_cache=grpc://127.0.0.1:{server.port}\n"
            "build:remote --remote_instance_name=main --remote_header=x-key=k\n"
        )
        assert run_tool("push", *arguments, **environment).returncode == 1
        done = run_tool("push", *arguments, "--config=remote", **environment)
        assert done.stdout.strip() == digest, done.stderr
    assert_whole(f"{registry.address}/tool:v1", digest)


def test_the_tool_takes_what_is_in_the_disk_cache_and_the_rest_from_a_remote_one_that_asks_who_it_is(
    registry: RegistryServer, tmp_path: Path
) -> None:
    layout, digest = sample_image(tmp_path / "image", *SIZES, seed=110)
    documents, files = documents_of(layout)
    here, *away = files
    folder = tmp_path / "disk" / "cas" / hex_of(here)[:2]
    folder.mkdir(parents=True)
    shutil.copy(files[here], folder / hex_of(here))
    helper = tmp_path / "helper"
    helper.write_text("""#!/bin/sh\necho '{"headers": {"authorization": ["Bearer secret"]}}'\n""")
    helper.chmod(0o755)
    with CasServer(headers={"authorization": "Bearer secret"}) as server:
        for name in away:
            server.add(files[name].read_bytes())
        arguments = [f"--image={documents}", f"--repository={registry.address}/helped", "--tag=v1"]
        arguments += [f"--disk_cache={tmp_path}/disk", f"--remote_cache=grpc://127.0.0.1:{server.port}"]
        refused = run_tool("push", *arguments, BUILD_WORKSPACE_DIRECTORY=str(tmp_path))
        assert refused.returncode == 1
        assert "who is asking?" in refused.stderr
        done = run_tool("push", *arguments, f"--credential_helper={helper}", BUILD_WORKSPACE_DIRECTORY=str(tmp_path))
        assert done.stdout.strip() == digest, done.stderr
        assert {name for name, _ in server.reads} == {hex_of(name) for name in away}
        assert "secret" not in done.stderr + refused.stderr
    assert_whole(f"{registry.address}/helped:v1", digest)
