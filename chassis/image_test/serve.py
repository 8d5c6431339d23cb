"""Runs an image's server here, from its own root, for whoever wants to try it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from chassis.declaration.front_ends import GRPC_PORT, HTTP_PORT, HTTP_SERVERS, SERVERS
from chassis.declaration.model_json import read_served
from chassis.image_test.curl_lines import curl_lines
from chassis.image_test.image_check import HTTP_PORT_VARIABLE, PORT_VARIABLE, ServerError, explained, unpacked
from chassis.image_test.listening import free_port, reached
from chassis.image_test.omi_client import CallError, OmiClient
from chassis.image_test.server import Launch, SandboxedServer
from chassis.image_test.trial_page import Trial, trial_page
from chassis.image_test.trial_server import trial_server
from chassis.oci.file_tree import remove_tree
from chassis.oci.rootfs import RootFileSystem
from chassis.sandbox.image_root import EMULATOR_PATH
from chassis.sandbox.ladder import Need, Rung, Tools, climb
from chassis.sandbox.program import Emulator

LOG_NAME = "server.log"
_MODEL = "app/model/model.json"
_SERVERS_VARIABLE = "CHASSIS_SERVERS"
_PAGE_PORT = 8090
_PAGE_PROTOCOLS = ("v1-http", "v2-http")
"""Those that the page speaks, what it likes best first."""
_END = "Ctrl-C stops it."
_POLL_SECONDS = 0.1
_MORE_SECONDS = 5.0
"""Seconds that a server may take to end, more than it gives what it accepted."""


@dataclass(frozen=True, slots=True)
class _Ports:
    """Those of a server; `page` is 0 if it has no page."""

    grpc: int
    http: int
    page: int


@dataclass(frozen=True, slots=True)
class Served:
    """What to serve, and how.

    Attributes:
      layout: the image's layout.
      name: of the image, for people.
      tools: for the sandbox.
      emulator: a static qemu program, None if the CPU is this machine's.
      emulator_cpu: the CPU that it plays.
      host: the address of IPv4 to listen on.
      http_port: for HTTP; None for 8080, or any if that is taken.
      grpc_port: for gRPC; None for 45000, or any if that is taken.
      page_port: for the page to try the model on; None for 8090, or any if that is taken; 0 for no page.
      environment: variables, over those of the image.
      startup_seconds: until the server is ready.
    """

    layout: Path
    name: str
    tools: Tools
    emulator: Path | None = None
    emulator_cpu: str = ""
    host: str = "127.0.0.1"
    http_port: int | None = None
    grpc_port: int | None = None
    page_port: int | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    startup_seconds: float = 300.0


class Stopped(Exception):
    """Whoever started the server wants it to end."""


def serve(served: Served, folder: Path, say: Callable[[str], None], show: Callable[[str], None]) -> int:
    """Serves until `Stopped` is raised in it, or the server ends; `folder` holds the unpacked image meanwhile.

    `say` gets a line for each step, `show` what the server writes. Returns the server's exit status.

    Raises:
      ChassisError: the image cannot be unpacked, a port is taken, or the server does not start.
    """
    ports = _ports(served)
    root = folder / "root"
    try:
        began = time.monotonic()
        image = unpacked(served.layout, root, served.emulator)
        emulator = Emulator(served.emulator, EMULATOR_PATH, served.emulator_cpu) if served.emulator else None
        sandbox = climb(served.tools, Need.NOTHING, tuple(Rung), emulated=emulator is not None)
        say(f"{served.name}: unpacked in {time.monotonic() - began:.1f} s; {sandbox.line()}")
        return _run(served, Launch(image, sandbox, emulator), folder / LOG_NAME, ports, say, show)
    finally:
        remove_tree(root)


def _ports(served: Served) -> _Ports:
    host = served.host
    # Those that are wanted come first: none of them is given to another.
    wanted = [port for port in (served.grpc_port, served.http_port, served.page_port) if port]
    taken: list[int] = []
    for asked, usual in ((served.grpc_port, GRPC_PORT), (served.http_port, HTTP_PORT), (served.page_port, _PAGE_PORT)):
        taken.append(0 if asked == 0 else free_port(host, asked, usual, taken if asked else [*taken, *wanted]))
    return _Ports(*taken)


def _run(
    served: Served,
    launch: Launch,
    log: Path,
    ports: _Ports,
    say: Callable[[str], None],
    show: Callable[[str], None],
) -> int:
    chosen = served.environment.get(_SERVERS_VARIABLE) or launch.image.config.environment.get(_SERVERS_VARIABLE)
    servers = chosen.split(",") if chosen else list(SERVERS)
    # Open Model Interface too, whatever was chosen: it says when the model is ready, and has the server end well.
    environment = {
        "CHASSIS_HOST": served.host,
        **served.environment,
        PORT_VARIABLE: str(ports.grpc),
        HTTP_PORT_VARIABLE: str(ports.http),
        _SERVERS_VARIABLE: ",".join(dict.fromkeys(["omi", *servers])),
    }
    log.write_bytes(b"")
    shown = _Tail(log, show)
    began = time.monotonic()
    with (
        SandboxedServer(launch, environment, log, (ports.grpc, ports.http)) as server,
        OmiClient(ports.grpc, host=reached(served.host)) as client,
    ):

        def ended(seconds: float) -> bool:
            gone = server.wait(seconds) is not None
            shown.more()
            return gone

        try:
            failure = client.wait_until_serving(served.startup_seconds, ended)
            if failure:
                raise ServerError(explained(failure, server, launch))
            say(f"ready in {time.monotonic() - began:.1f} s{_emulated(launch)}")
            with _page(served, launch.image, servers, ports) as page:
                for line in _welcome(launch.image, servers, served.host, ports, page):
                    say(line)
                while not ended(_POLL_SECONDS):
                    pass
            return server.wait(0) or 0
        except Stopped:
            return _stop(server, client, launch.image, shown, say)


def _emulated(launch: Launch) -> str:
    if launch.emulator is None:
        return ""
    cpu = f" as {launch.emulator.cpu.split(',')[0]}" if launch.emulator.cpu else ""
    return f", emulated{cpu}: many times slower than the device"


def _stop(
    server: SandboxedServer, client: OmiClient, image: RootFileSystem, shown: _Tail, say: Callable[[str], None]
) -> int:
    """Has the server answer what it accepted, and end."""
    limit = float(_document(image).get("drain_timeout", 0)) + _MORE_SECONDS
    say("stopping: what was accepted is answered first")
    try:
        client.shutdown(limit)
    except CallError as error:
        say(str(error))
    status = server.wait(limit)
    shown.more()
    if status is None:
        say(f"the server did not end within {limit:g} s: ended by force")
        return 1
    return status


@contextmanager
def _page(served: Served, image: RootFileSystem, servers: Sequence[str], ports: _Ports) -> Iterator[str]:
    """Serves the page to try the model on; gives its URL, "" if there is none."""
    document = _document(image)
    spoken = [name for name in _PAGE_PROTOCOLS if name in servers]
    if not ports.page or not spoken or not document:
        yield ""
        return
    declared = read_served(document)
    trial = Trial(
        name=str(document["name"]),
        version=str(document.get("version", "")),
        signature=str(document["signature"]),
        inputs=declared["inputs"],
        outputs=declared["outputs"],
        columns=declared["columns"],
        protocol=spoken[0],
        url=f"http://{served.host}:{ports.http}",
    )
    with trial_server(trial_page(trial), trial.path, (served.host, ports.page), ports.http) as url:
        yield url


def _welcome(image: RootFileSystem, servers: Sequence[str], host: str, ports: _Ports, page: str) -> list[str]:
    lines = [f"page  {page}  to try the model in a browser"] if page else []
    if [name for name in servers if name not in HTTP_SERVERS]:
        lines.append(f"gRPC  {host}:{ports.grpc}")
    if not [name for name in servers if name in HTTP_SERVERS]:
        return [*lines, _END]
    url = f"http://{host}:{ports.http}"
    lines.append(f"HTTP  {url}  description {url}/openapi.json  metrics {url}/metrics")
    document = _document(image)
    if document:
        served = read_served(document)
        asked = curl_lines(document["name"], document["signature"], served["inputs"], servers, url, served["columns"])
        lines += ["", *asked, ""]
    return [*lines, _END]


def _document(image: RootFileSystem) -> dict[str, object]:
    """model.json of the image; empty if it is not one of Chassis."""
    try:
        document: dict[str, object] = json.loads((image.path / _MODEL).read_bytes())
    except (OSError, ValueError):
        return {}
    return document


class _Tail:
    """What is appended to a file."""

    def __init__(self, path: Path, show: Callable[[str], None]) -> None:
        self._path = path
        self._show = show
        self._offset = 0

    def more(self) -> None:
        """Shows what came since the last call."""
        with self._path.open("rb") as stream:
            stream.seek(self._offset)
            content = stream.read()
        self._offset += len(content)
        if content:
            self._show(content.decode(errors="replace"))
