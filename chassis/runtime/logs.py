"""The server's log: one event a line, as text or JSON, never a request's content.

Code logs with the standard library: `_LOG.info("model loaded", extra={"seconds": 0.3})`.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


# What gRPC's Python says, with a trace, of each header that is not UTF-8: a caller could fill the log with it.
_GRPC, _A_CALLERS = "grpc._cython.cygrpc", "Invalid encoding on"


def configure(log_format: str, level: str, fields: Mapping[str, object] | None = None) -> None:
    """Sends every logger's events to standard error, as `text` or `json`, from `level` on, each with `fields`."""
    handler = logging.StreamHandler()
    handler.addFilter(lambda record: not (record.name == _GRPC and str(record.msg).startswith(_A_CALLERS)))
    if fields:
        handler.addFilter(lambda record: vars(record).update(fields) or True)
    handler.setFormatter(_JsonFormatter() if log_format == "json" else _TextFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)


def _time(record: logging.LogRecord) -> str:
    """RFC 3339, UTC, milliseconds."""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z"


def _fields(record: logging.LogRecord) -> dict[str, object]:
    return {name: value for name, value in vars(record).items() if name not in _STANDARD}


class _TextFormatter(logging.Formatter):
    """`2026-01-31T12:00:00.123Z INFO chassis.runtime: model loaded seconds=0.3`."""

    def format(self, record: logging.LogRecord) -> str:
        fields = "".join(f" {name}={_quoted(value)}" for name, value in _fields(record).items())
        line = f"{_time(record)} {record.levelname} {record.name}: {record.getMessage()}{fields}"
        return line + "\n" + self.formatException(record.exc_info) if record.exc_info else line


class _JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, the event's fields, traceback."""

    def format(self, record: logging.LogRecord) -> str:
        event = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_fields(record),
        }
        if record.exc_info:
            event["traceback"] = self.formatException(record.exc_info)
        return json.dumps(event, default=str)


def _quoted(value: object) -> str:
    text = str(value)
    return json.dumps(text) if not text or any(character in ' "=\n\r\t' for character in text) else text
