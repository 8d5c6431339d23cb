"""The pickled predict function of an image, loaded."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from chassis.errors import ChassisError
from chassis.runtime.core.predict import PredictFunction

if TYPE_CHECKING:
    from chassis.runtime.settings import Settings


class ModelLoadError(ChassisError):
    """A model that this server cannot load."""


def load_model(settings: Settings) -> PredictFunction:
    """The predict function of `settings.model_dir`, with what it declares.

    Raises:
      ModelLoadError: see `load_function`.
      BaseException: whatever the model's own modules raise when they are imported.
    """
    function = load_function(settings.model_dir / "model.pkl", settings.python)
    # What loading left behind stays for good: no later collection has to look at it.
    gc.freeze()
    return PredictFunction(function, settings.signature, settings.batch_size, settings.contract)


def load_function(path: Path, python: str) -> Callable[..., object]:
    """Unpickles the predict function in `path`, which a Python of minor version `python` ("3.11") pickled.

    Raises:
      ModelLoadError: another Python is running, the file is not there, or it holds no function.
      BaseException: whatever the model's own modules raise when they are imported.
    """
    running = f"{sys.version_info.major}.{sys.version_info.minor}"
    if python and python != running:
        raise ModelLoadError(
            f"{path.name} was pickled by Python {python}, this is Python {running}: a pickle holds bytecode of one "
            "minor version; build the image with a base of that Python"
        )
    import cloudpickle  # here, so that the port answers before it is read

    try:
        with path.open("rb") as file:
            function = cloudpickle.load(file)
    except FileNotFoundError:
        raise ModelLoadError(f"{path} is not there") from None
    if not callable(function):
        raise ModelLoadError(f"{path.name} holds a {type(function).__name__}, expected a predict function")
    return function
