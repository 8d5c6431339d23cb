"""What a server is told: by the image (`model.json`) and, over that, by the environment."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from chassis.declaration.front_ends import MAX_WORKERS, SERVERS
from chassis.declaration.model_json import FORMAT, SIGNATURES, read_served
from chassis.errors import ChassisError
from chassis.runtime.core.contract import Contract
from chassis.runtime.cpus import cpu_quota, threads_default, visible_cpus
from chassis.runtime.limits import (
    Limits,
    connections_default,
    inflight_default,
    memory_limit,
    message_default,
    raise_file_limit,
    request_default,
)

if TYPE_CHECKING:
    from chassis.runtime.tracing.trace_settings import TraceSettings

IMAGE_MODEL = "/app/model"
SHUTDOWNS = ("local", "anyone", "nobody")
LOG_FORMATS = ("text", "json")
LOG_LEVELS = ("debug", "info", "warning", "error")
_HOST = re.compile(r"[a-z0-9_](?:[a-z0-9._-]*[a-z0-9])?")
_ELSEWHERE = ("CHASSIS_ACCELERATOR", "CHASSIS_MODEL_DIR")
"""What is read in other places."""

_OF_A_SERVICE = re.compile(r"_SERVICE_(HOST|PORT)|_PORT(_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?$")
"""What Kubernetes says of a Service whose name begins with `chassis`."""

_ENDPOINT_DELAY = 5.0
_ORIGIN = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#\s,@]+|null")


class SettingsError(ChassisError):
    """A setting that cannot be understood; the message names where it comes from."""


class Settings(NamedTuple):
    """The settings of one server.

    Attributes:
      model_dir: holds model.pkl, status.pb and model.json (`CHASSIS_MODEL_DIR`).
      name: of the model in URLs (`MODEL_NAME`).
      version: of the model.
      signature: what an item is for the function, one of `SIGNATURES`.
      batch_size: the most items of one call; 0 for a function of one item.
      python: minor version that pickled the model, such as `3.11`.
      contract: declared inputs and outputs.
      servers: the front ends to start (`CHASSIS_SERVERS`, comma-separated).
      host: address to listen on (`CHASSIS_HOST`); `[::]` is every IPv6 and IPv4 address.
      port: gRPC's port (`PSC_MODEL_PORT`); 0 takes a free one and logs it.
      http_port: HTTP's port (`HTTP_PORT`); likewise.
      metrics_port: a port for metrics and health alone, which then need no HTTP front end (`CHASSIS_METRICS_PORT`);
        None for none.
      workers: processes of the model; 0 is a thread of the server's own (`CHASSIS_WORKERS`).
      max_wait: how long an item may wait for a batch to fill (`CHASSIS_MAX_WAIT_MS`, milliseconds).
      queue_size: items that may wait for the model (`CHASSIS_QUEUE_SIZE`).
      limits: what callers may take, see there.
      shutdown: who may end the server by OMI's Shutdown: `local`, `anyone` or `nobody` (`CHASSIS_SHUTDOWN`).
      cors_origins: origins whose pages may read answers, `*` for all (`CHASSIS_CORS_ORIGINS`, comma-separated).
      load_timeout: seconds after which a server without a loaded model ends (`CHASSIS_LOAD_TIMEOUT`).
      run_timeout: the most seconds of one call of the model (`CHASSIS_RUN_TIMEOUT`).
      image: what the image is called where it runs, for metrics (`CHASSIS_IMAGE`).
      stop_delay: seconds in which a server that is told to stop is not ready and still serves (`CHASSIS_STOP_DELAY`).
      drain_timeout: seconds for what was accepted when the server is told to stop (`CHASSIS_DRAIN_TIMEOUT`).
      threads: of libraries in each process of the model (`CHASSIS_THREADS`).
      unknown: variables `CHASSIS_…` of the environment that nothing reads, each with the nearest that is read, or "".
      server_path: directories that the server's own process imports from (`CHASSIS_SERVER_PATH`, which the image sets);
        none to import from where the model does.
      traces: where spans go (`OTEL_EXPORTER_OTLP_ENDPOINT` and the other variables of OpenTelemetry); None for nowhere.
      model_key: a public key, in PEM or its path, that has to have signed the model's files (`CHASSIS_MODEL_KEY`); ""
        asks for no signature.
      log_format: `text` or `json` (`CHASSIS_LOG_FORMAT`).
      log_level: `debug`, `info`, `warning` or `error` (`CHASSIS_LOG_LEVEL`).
    """

    model_dir: str
    name: str
    signature: str
    batch_size: int
    python: str
    contract: Contract
    version: str = ""
    servers: tuple[str, ...] = SERVERS
    host: str = "[::]"
    port: int = 45000
    http_port: int = 8080
    metrics_port: int | None = None
    workers: int = 1
    max_wait: float = 0.0
    queue_size: int = 1024
    limits: Limits = Limits()
    shutdown: str = "local"
    cors_origins: tuple[str, ...] = ()
    load_timeout: float = 300.0
    run_timeout: float = 60.0
    image: str = ""
    stop_delay: float = 0.0
    drain_timeout: float = 7.0
    threads: int = 1
    unknown: tuple[tuple[str, str], ...] = ()
    server_path: tuple[str, ...] = ()
    traces: TraceSettings | None = None
    model_key: str = ""
    log_format: str = "text"
    log_level: str = "info"


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Reads model.json and the environment.

    Raises:
      SettingsError: a file or variable that is missing, malformed or out of bounds.
    """
    model_dir = environment.get("CHASSIS_MODEL_DIR") or IMAGE_MODEL
    path = f"{model_dir}/model.json"
    try:
        with open(path, "rb") as file:
            document = json.load(file)
    except FileNotFoundError:
        raise SettingsError(f"{path} is not there: set CHASSIS_MODEL_DIR to the directory of the model") from None
    except ValueError as error:
        raise SettingsError(f"{path} is not JSON: {error}") from None
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise SettingsError(f"{path}: expected format {FORMAT}; build the image with the Chassis of this server")
    try:
        return _settings(model_dir, document, _Environment(environment))
    except (KeyError, TypeError, ValueError) as error:
        raise SettingsError(f"{path}: {type(error).__name__}: {error}") from None


def _settings(model_dir: str, document: dict[str, object], environment: _Environment) -> Settings:
    signature = document["signature"]
    if signature not in SIGNATURES:
        raise ValueError(f"signature {signature!r} is not one of {', '.join(SIGNATURES)}")
    served = read_served(document)
    workers = environment.integer("CHASSIS_WORKERS", 1, 0, MAX_WORKERS)
    settings = Settings(
        model_dir=model_dir,
        name=environment.text("MODEL_NAME", str(served["name"])),
        signature=str(signature),
        batch_size=int(served["batch_size"]),
        python=str(document["python"]),
        contract=Contract(
            served["inputs"],
            served["outputs"],
            one_input=signature not in ("mapping", "arrays"),
            takes_request=document.get("takes_request") is True,
            request_headers=served["request_headers"],
            signature=str(signature),
            columns=served["columns"],
        ),
        version=str(served["version"]) or "1",
        servers=environment.choices("CHASSIS_SERVERS", served["servers"], SERVERS),
        host=environment.text("CHASSIS_HOST", "[::]"),
        port=environment.integer("PSC_MODEL_PORT", 45000, 0, 65535),
        http_port=environment.integer("HTTP_PORT", 8080, 0, 65535),
        metrics_port=environment.optional("CHASSIS_METRICS_PORT", 0, 65535),
        workers=workers,
        max_wait=environment.number("CHASSIS_MAX_WAIT_MS", served["max_wait_ms"]) / 1000,
        queue_size=environment.integer("CHASSIS_QUEUE_SIZE", served["queue_size"], 1, 10**9),
        limits=_limits(environment),
        shutdown=environment.choices("CHASSIS_SHUTDOWN", ("local",), SHUTDOWNS)[0],
        cors_origins=environment.origins("CHASSIS_CORS_ORIGINS"),
        load_timeout=environment.number("CHASSIS_LOAD_TIMEOUT", served["load_timeout"], positive=True),
        run_timeout=environment.number("CHASSIS_RUN_TIMEOUT", served["run_timeout"], positive=True),
        image=environment.text("CHASSIS_IMAGE", ""),
        stop_delay=environment.number("CHASSIS_STOP_DELAY", environment.stop_delay()),
        drain_timeout=environment.number("CHASSIS_DRAIN_TIMEOUT", served["drain_timeout"]),
        threads=environment.optional("CHASSIS_THREADS", 1, 1 << 16)
        or threads_default(float(served["num_cpus"]), workers, cpu_quota(), visible_cpus()),
        server_path=tuple(path for path in environment.text("CHASSIS_SERVER_PATH", "").split(":") if path),
        traces=environment.traces(environment.text("MODEL_NAME", str(served["name"]))),
        model_key=environment.text("CHASSIS_MODEL_KEY", ""),
        log_format=environment.choices("CHASSIS_LOG_FORMAT", ("text",), LOG_FORMATS)[0],
        log_level=environment.choices("CHASSIS_LOG_LEVEL", ("info",), LOG_LEVELS)[0],
    )
    return settings._replace(unknown=environment.unknown())


def _limits(environment: _Environment) -> Limits:
    """The bounds of the environment; what it leaves open follows from the container's memory and files."""
    memory = memory_limit()
    request = environment.optional("CHASSIS_MAX_REQUEST_BYTES", 1, (1 << 31) - 1)
    inflight = environment.optional("CHASSIS_MAX_INFLIGHT_BYTES", 1, 1 << 60)
    settled = inflight is not None
    if inflight is None:
        # If nothing else bounds memory, a body of the size that the environment allows has room.
        inflight = max(inflight_default(memory), 0 if memory or not request else request * 5 // 2)
    files = raise_file_limit()
    usual = Limits()
    return Limits(
        request_bytes=request or request_default(inflight),
        message_bytes=request or message_default(inflight, memory),
        inflight_bytes=inflight,
        connections=environment.integer(
            "CHASSIS_MAX_CONNECTIONS", connections_default(inflight, files), 1, max(1, files)
        ),
        head_bytes=environment.integer("CHASSIS_MAX_HEAD_BYTES", usual.head_bytes, 1024, 1 << 24),
        url_bytes=environment.integer("CHASSIS_MAX_URL_BYTES", usual.url_bytes, 64, 1 << 24),
        head_timeout=environment.number("CHASSIS_HEAD_TIMEOUT", usual.head_timeout, positive=True),
        idle_timeout=environment.number("CHASSIS_IDLE_TIMEOUT", usual.idle_timeout, positive=True),
        transfer_grace=environment.number("CHASSIS_TRANSFER_GRACE", usual.transfer_grace, positive=True),
        least_rate=environment.number("CHASSIS_MIN_RATE", usual.least_rate),
        memory=memory,
        hosts=environment.hosts("CHASSIS_HOSTS"),
        settled=settled,
    )


class _Environment:
    """Typed access to environment variables; an empty one counts as unset."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables
        self._read = {*_ELSEWHERE}

    def text(self, name: str, default: str) -> str:
        self._read.add(name)
        return self._variables.get(name) or default

    def stop_delay(self) -> float:
        """In Kubernetes, as long as it takes until nobody is sent here any more; nothing elsewhere."""
        return _ENDPOINT_DELAY if self._variables.get("KUBERNETES_SERVICE_HOST") else 0.0

    def traces(self, name: str) -> TraceSettings | None:
        """Where spans of the service `name` go."""
        if not any(key.startswith("OTEL_EXPORTER_OTLP_") for key in self._variables):
            return None
        from chassis.runtime.tracing.trace_settings import read_trace_settings  # here, since few servers need it

        return read_trace_settings(self._variables, name)

    def unknown(self) -> tuple[tuple[str, str], ...]:
        """Variables `CHASSIS_…` that nothing has read, each with the nearest name that something has, or ""."""
        unread = sorted(
            name
            for name in self._variables.keys() - self._read
            if name.startswith("CHASSIS_") and not _OF_A_SERVICE.search(name)
        )
        if not unread:
            return ()
        from difflib import get_close_matches  # here, since a server rarely has one

        known = {name.removeprefix("CHASSIS_"): name for name in sorted(self._read)}
        near = {name: get_close_matches(name.removeprefix("CHASSIS_"), known, 1) for name in unread}
        return tuple((name, known[near[name][0]] if near[name] else "") for name in unread)

    def integer(self, name: str, default: object, least: int, most: int) -> int:
        text = self.text(name, str(default))
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if not least <= value <= most:
            raise SettingsError(f"{name}={text}: expected an integer from {least} to {most}")
        return value

    def optional(self, name: str, least: int, most: int) -> int | None:
        """As `integer`; None if it is not set."""
        self._read.add(name)
        return self.integer(name, None, least, most) if self._variables.get(name) else None

    def hosts(self, name: str) -> tuple[str, ...]:
        """Names of hosts, without ports."""
        text = self._variables.get(name) or ""
        found = tuple(part.strip().lower().removesuffix(".") for part in text.split(",") if part.strip())
        for host in found:
            if not _HOST.fullmatch(host):
                raise SettingsError(f"{name}={text}: {host!r} is not a host's name such as models.example.com")
        return found

    def origins(self, name: str) -> tuple[str, ...]:
        """Origins such as `https://example.com:8443`, or `*`."""
        text = self.text(name, "")
        found = tuple(part.strip().rstrip("/") for part in text.split(",") if part.strip())
        for origin in found:
            if origin != "*" and not _ORIGIN.fullmatch(origin):
                raise SettingsError(
                    f"{name}={text}: {origin!r} is not an origin such as https://example.com, and not *"
                )
        return found

    def number(self, name: str, default: object, *, positive: bool = False) -> float:
        text = self.text(name, str(default))
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value) or value < 0 or (positive and not value):
            raise SettingsError(f"{name}={text}: expected a number {'above' if positive else 'of at least'} 0")
        return value

    def choices(self, name: str, default: object, allowed: tuple[str, ...]) -> tuple[str, ...]:
        text = self.text(name, ",".join(default))  # type: ignore[arg-type]
        chosen = tuple(part.strip().lower() for part in text.split(","))
        for choice in chosen:
            if choice not in allowed:
                raise SettingsError(f"{name}={text}: {choice!r} is not one of {', '.join(allowed)}")
        return chosen
