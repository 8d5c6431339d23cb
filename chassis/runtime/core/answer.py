"""What a model says to one item."""

from __future__ import annotations

import enum
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from traceback import FrameSummary

Item = Mapping[str, bytes]
"""One input of a model: input name to content."""

_MAX_ERROR = 2000
_MAX_FRAMES = 6
_SERVER = tuple(
    f"{__file__.rpartition('/')[0].rpartition('/')[0]}/{name}.py"
    for name in (
        *(
            "codecs/results",
            "codecs/typed_function",
            "core/loader",
            "core/model_thread",
            "core/onnx_threads",
            "core/predict",
            "core/warming",
        ),
        "workers/worker",
    )
)
"""Where the server calls the model from, or stands between it and a library."""

_PACKAGES = ("/site-packages/", "/dist-packages/")


class ErrorKind(enum.Enum):
    """Why an item has no output; front ends turn it into their protocol's status."""

    INPUT = "input"
    """The item is not what the model declares to take."""
    TOO_LARGE = "too_large"
    """One of its inputs is larger than its max_size."""
    MODEL = "model"
    """The predict function raised."""
    CONTRACT = "contract"
    """The predict function returned something else than it promises."""
    TIMEOUT = "timeout"
    """The predict function did not return in time."""
    NOT_LOADED = "not_loaded"
    """The model could not be loaded."""
    STOPPED = "stopped"
    """The server stopped, and its time for what it had accepted was over."""
    LOST = "lost"
    """The model's process ended while it ran the item, twice."""


class Answer(NamedTuple):
    """The outputs of one item, or why there are none: either `output`, or `error` and `kind` are set.

    `parameters` are what the function gave beside its outputs.
    """

    output: Mapping[str, bytes] | None
    error: str | None = None
    kind: ErrorKind | None = None
    parameters: Mapping[str, object] | None = None


def failed(reason: str, kind: ErrorKind = ErrorKind.MODEL) -> Answer:
    """The answer to an item that failed; `reason` is cut at 2000 characters."""
    reason = _plain(reason)
    return Answer(None, reason if len(reason) <= _MAX_ERROR else reason[:_MAX_ERROR] + "…", kind)


class RemoteError(Exception):
    """What a predict function raised in another process.

    Attributes:
      kind: the name of its type, such as `ValueError`.
      description: `describe_exception` of it.
      at: `frames` of it.
    """

    def __init__(self, kind: str, description: str, at: str) -> None:
        super().__init__(description)
        self.kind = kind
        self.description = description
        self.at = at


def exception_kind(error: BaseException) -> str:
    """The name of its type, such as `ValueError`: what a log may hold."""
    return error.kind if isinstance(error, RemoteError) else type(error).__name__


def describe_exception(error: BaseException) -> str:
    """`ValueError: message`, without a stack trace: what a caller may see."""
    if isinstance(error, RemoteError):
        return error.description
    try:
        message = _plain(str(error))
    except BaseException:  # its own code may raise whatever the model may
        message = ""
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def frames(error: BaseException) -> str:
    """Where `error` was raised: the model's own frames, outermost first, then the innermost of a library.

    `model/model.py:63 batch_process, model/model.py:86 parse; numpy/_core/numeric.py:407 full`: however deep a library
    is, the model's own line is there. The frames of the server itself are left out.
    """
    if isinstance(error, RemoteError):
        return error.at
    import traceback  # here, since most models never raise

    modules = [str(frame.f_globals.get("__name__")) for frame, _ in traceback.walk_tb(error.__traceback__)]
    pairs = zip(traceback.extract_tb(error.__traceback__), modules, strict=True)
    kept = [(frame, module) for frame, module in pairs if not _is_of_server(frame.filename)]
    found = [frame for frame, _ in kept]
    own = [frame for frame, module in kept if not _is_of_library(frame.filename, module)]
    if not own:
        return ", ".join(map(_shown, found[-_MAX_FRAMES:]))
    text = ", ".join(map(_shown, own[-_MAX_FRAMES:]))
    return text if found[-1] is own[-1] else f"{text}; {_shown(found[-1])}"


def _shown(frame: FrameSummary) -> str:
    """A frame, of a library by the path below the directory that it is installed in."""
    name = frame.filename
    for directory in _PACKAGES:
        name = name.rpartition(directory)[2]
    return f"{name}:{frame.lineno} {frame.name}"


def _is_of_server(filename: str) -> bool:
    return filename in _SERVER


def _is_of_library(filename: str, module: str) -> bool:
    """Whether code is Python's own or of an installed distribution. A model may have a module with one of its names."""
    own = module.partition(".")[0] in sys.stdlib_module_names and module in sys.modules
    return own or any(part in filename for part in _PACKAGES)


def _plain(text: str) -> str:
    """`text` with `?` for halves of characters, which no protocol can express."""
    return text.encode(errors="replace").decode()
