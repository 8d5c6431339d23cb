"""An inference test: unpacks an image, starts its server in a sandbox, sends cases and judges the answers."""

from __future__ import annotations

import contextlib
import platform
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from chassis.declaration.platforms import MACHINES
from chassis.errors import ChassisError
from chassis.image_test.case_file import Case
from chassis.image_test.comparison import UNANSWERED, ItemResult, compare
from chassis.image_test.junit import Result
from chassis.image_test.omi_client import CallError, OmiClient
from chassis.image_test.server import Launch, SandboxedServer, explain_start_failure
from chassis.image_test.tensors import Declared, declared_in, with_tensors
from chassis.oci.file_tree import remove_tree
from chassis.oci.layout_reader import ImageConfig, LayoutReader
from chassis.oci.rootfs import RootFileSystem, Viewer, unpack
from chassis.sandbox.errors import SandboxError
from chassis.sandbox.image_root import EMULATOR_PATH
from chassis.sandbox.ladder import Need, Rung, Tools, climb
from chassis.sandbox.program import Emulator

PORT_VARIABLE = "PSC_MODEL_PORT"
HTTP_PORT_VARIABLE = "HTTP_PORT"
LOG_NAME = "server.log"
_CRASH_SECONDS = 1.0
_CHILDREN_SIGN = "Exec format error"
_CHILDREN_HINT = (
    "  the model starts a program, and the kernel does not know the emulated CPU\n"
    '  give the test needs = ["children"], with which what it starts is emulated, too'
)


class ServerError(ChassisError):
    """The server did not start."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to test and with what.

    `emulator` is a static qemu program, None if the CPU is this machine's; `emulator_cpu` the CPU it
    plays. `needs` is what the sandbox has to do, `rungs` those of the ladder to try. `tolerance` is the most
    that numbers may differ by; the others are seconds: until the server is ready, for one case, and from
    Shutdown to the server's end. `update_command` writes the answers into the case files, "" if nothing does.
    """

    layout: Path
    tools: Tools
    cases: Sequence[Case]
    emulator: Path | None = None
    emulator_cpu: str = ""
    needs: Need = Need.NOTHING
    rungs: Sequence[Rung] = tuple(Rung)
    tolerance: float = 1e-6
    startup_seconds: float = 120.0
    case_seconds: float = 120.0
    shutdown_seconds: float = 30.0
    update_command: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What every case came to, the end of the server's log, the answers to each case (None if none came), and the
    tensors that the model declares."""

    results: tuple[Result, ...]
    log: str
    answers: tuple[tuple[ItemResult, ...] | None, ...] = ()
    declared: Declared = field(default_factory=Declared)


def check_image(plan: Plan, folder: Path, say: Callable[[str], None]) -> Outcome:
    """Runs a plan in the directory `folder`, which holds the unpacked image meanwhile and the log after.

    `say` gets a line for each step and each case. The server is gone when this returns or raises.

    Raises:
      ChassisError: the image cannot be unpacked or its server does not start; its log is in the message.
    """
    root = folder / "root"
    started = time.monotonic()
    try:
        image = unpacked(plan.layout, root, plan.emulator)
        say(f"unpacked in {time.monotonic() - started:.1f} s")
        return check_server(plan, image, folder / LOG_NAME, say)
    finally:
        remove_tree(root)


def check_server(plan: Plan, image: RootFileSystem, log: Path, say: Callable[[str], None]) -> Outcome:
    """Runs a plan's cases on the server of an unpacked image, whose output goes to the file `log`."""
    emulator = Emulator(plan.emulator, EMULATOR_PATH, plan.emulator_cpu) if plan.emulator else None
    sandbox = climb(plan.tools, plan.needs, plan.rungs, emulated=emulator is not None)
    say(sandbox.line())
    launch = Launch(image, sandbox, emulator)
    declared = declared_in(image.path)
    cases = [with_tensors(case, declared.inputs) for case in plan.cases]
    with _started(launch, log, plan.startup_seconds, say) as (server, client):
        ran = [_run_case(case, server, client, plan, declared, say) for case in cases]
        results = [result for result, _ in ran]
        results.append(_stop(server, client, plan.shutdown_seconds, say))
        text = server.log()
        if emulator and _CHILDREN_SIGN in text and any(result.failure for result in results):
            say(_CHILDREN_HINT)
        return Outcome(tuple(results), text, tuple(answers for _, answers in ran), declared)


def unpacked(layout: Path, root: Path, emulator: Path | None) -> RootFileSystem:
    """The image in `layout`, unpacked into `root`.

    Raises:
      ServerError: its CPU is not this machine's, and no emulator was given.
    """
    reader = LayoutReader(layout)
    _, config = reader.image()
    machine = platform.machine()
    wanted = MACHINES.get(config.architecture)
    if not emulator and wanted is not None and wanted.machine != machine:
        raise ServerError(
            f"{layout} is for {config.architecture} and this machine is {machine}: an emulator is needed\n"
            "  give a static qemu program with --emulator"
        )
    return unpack(reader, root, viewer=_viewer(config))


def _viewer(config: ImageConfig) -> Viewer | None:
    """The image's user if it is given by numbers and is not root: files then have the permissions it
    will meet."""
    uid, _, gid = config.user.partition(":")
    return Viewer(int(uid), int(gid or 0)) if uid.isdigit() and (gid or "0").isdigit() and int(uid) else None


@contextlib.contextmanager
def _started(
    launch: Launch, log: Path, seconds: float, say: Callable[[str], None]
) -> Iterator[tuple[SandboxedServer, OmiClient]]:
    """A server that serves, and a client of it."""
    port = _free_port()
    begin = time.monotonic()
    log.write_bytes(b"")
    # Cases are sent over gRPC; a free port for HTTP, whatever else runs on the machine.
    environment = {PORT_VARIABLE: str(port), HTTP_PORT_VARIABLE: "0"}
    with SandboxedServer(launch, environment, log, (port,)) as server, OmiClient(port) as client:
        failure = client.wait_until_serving(seconds, lambda wait: server.wait(wait) is not None)
        if not failure:
            emulated = f" under {launch.emulator.file.name}" if launch.emulator else ""
            cpu = f" as {launch.emulator.cpu.split(',')[0]}" if launch.emulator and launch.emulator.cpu else ""
            say(f"server ready in {time.monotonic() - begin:.1f} s{emulated}{cpu}")
            yield server, client
            return
        raise ServerError(explained(failure, server, launch))


def explained(failure: str, server: SandboxedServer, launch: Launch) -> str:
    """`failure` of a server that did not start, with its log, and what is to be done if that is known.

    Raises:
      SandboxError: it is the sandbox that could not be made.
    """
    status = server.wait(0)
    text = server.log()
    if status is not None and (explanation := explain_start_failure(text)):
        raise SandboxError(explanation)
    hint = f"\n{_CHILDREN_HINT}" if launch.emulator and _CHILDREN_SIGN in text else ""
    ended = f" (exit status {status})" if status is not None else ""
    return f"{failure}{ended}\n{_quoted(text)}{hint}"


def _run_case(
    case: Case,
    server: SandboxedServer,
    client: OmiClient,
    plan: Plan,
    declared: Declared,
    say: Callable[[str], None],
) -> tuple[Result, tuple[ItemResult, ...] | None]:
    begin = time.monotonic()
    answers: tuple[ItemResult, ...] | None = None
    findings: tuple[str, ...]
    note = ""
    if (status := server.wait(0)) is not None:
        findings = (f"the server is gone (exit status {status})",)
    else:
        try:
            answers = tuple(client.run(case.inputs, plan.case_seconds))
            verdict = compare(case, answers, plan.tolerance, declared.outputs)
            findings, note = verdict.findings, verdict.note
            if findings == (UNANSWERED,) and plan.update_command:
                findings = (f"{UNANSWERED}\n  to write what the image answers: {plan.update_command}",)
        except CallError as error:
            status = server.wait(_CRASH_SECONDS)
            ended = f"; the server ended with status {status}" if status is not None else ""
            findings = (f"{error}{ended}",)
    seconds = time.monotonic() - begin
    say(f"{'FAIL' if findings else 'ok'}  {case.name}  {seconds:.2f} s{'  ' + note if note else ''}")
    for finding in findings:
        say("      " + finding.replace("\n", "\n      "))
    return Result(case.name, seconds, "\n".join(findings)), answers


def _stop(server: SandboxedServer, client: OmiClient, limit: float, say: Callable[[str], None]) -> Result:
    """Shutdown over OMI; the server must then end by itself with status 0."""
    begin = time.monotonic()
    failure = ""
    if server.wait(0) is not None:
        failure = "the server ended before it was asked to"
    else:
        try:
            client.shutdown(limit)
            status = server.wait(limit)
            if status is None:
                failure = f"the server still runs {limit:g} s after Shutdown"
            elif status:
                failure = f"the server ended with status {status} after Shutdown, expected 0"
        except CallError as error:
            failure = str(error)
    seconds = time.monotonic() - begin
    say(f"{'FAIL' if failure else 'ok'}  Shutdown  {seconds:.2f} s" + (f"\n      {failure}" if failure else ""))
    return Result("Shutdown", seconds, failure)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _quoted(log: str) -> str:
    return "--- server's log ---\n" + (log.rstrip("\n") or "(empty)") + "\n--- end of the log ---"
