"""The pickled predict function of an image, loaded."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from chassis.errors import ChassisError
from chassis.runtime.core.loader import Loader, Records
from chassis.runtime.core.onnx_threads import mend_sessions
from chassis.runtime.core.predict import Predict, PredictFunction
from chassis.runtime.core.shared_libraries import mend_find_library
from chassis.runtime.core.typed import as_predict
from chassis.runtime.core.warming import warm_up

if TYPE_CHECKING:
    from chassis.runtime.settings import Settings


_BLAS_WAIT = ("OPENBLAS_THREAD_TIMEOUT", "20")
"""How long OpenBLAS's idle threads turn in circles for more work before they sleep, as a power of two in clock cycles.

By itself it is 26, 28 ms at 2.4 GHz, from the import of NumPy on and after each operation: a core that the server could
use. With 20, 0.4 ms, operations that follow each other still meet threads that are awake.
"""


class ModelLoadError(ChassisError):
    """A model that this server cannot load."""


def load_model(settings: Settings) -> Predict:
    """The predict function of `settings.model_dir`, with what it declares, warmed up.

    Raises:
      SignedModelError: its files are not those that `settings.model_key` signed.
      ModelLoadError: see `load_function`.
      TypedInputError: its input is made with a package that is not there.
      WarmUpError: a call of the warm-up failed.
      BaseException: whatever the model's own modules raise when they are imported.
    """
    os.environ.setdefault(*_BLAS_WAIT)
    mend_find_library()
    mend_sessions()
    if settings.model_key:
        from chassis.runtime.core.signed_model import check_signed  # here, since few servers need it

        check_signed(settings.model_dir, settings.model_key)
    function = load_function(f"{settings.model_dir}/model.pkl", settings.python)
    predict = as_predict(
        PredictFunction(
            function, settings.signature, settings.batch_size, settings.contract, run_timeout=settings.run_timeout
        )
    )
    warm_up(predict, settings.model_dir)
    # What loading left behind stays for good: no later collection has to look at it.
    gc.freeze()
    return predict


def load_function(path: str, python: str) -> Callable[..., object]:
    """Unpickles the predict function in `path`, which a Python of minor version `python` ("3.11") pickled.

    What the model has to load first, it loads here.

    Raises:
      ModelLoadError: another Python is running, the file is not there, or it holds no function.
      BaseException: whatever the model's own modules raise when they are imported, or its `load`.
    """
    running = f"{sys.version_info.major}.{sys.version_info.minor}"
    if python and python != running:
        raise ModelLoadError(
            f"{path} was pickled by Python {python}, this is Python {running}: a pickle holds bytecode of one minor "
            "version; build the image with a base of that Python"
        )
    import cloudpickle  # here, so that the port answers before it is read

    try:
        with open(path, "rb") as file:
            function = cloudpickle.load(file)
    except FileNotFoundError:
        raise ModelLoadError(f"{path} is not there") from None
    if isinstance(function, Loader | Records):
        return function.loaded()
    if not callable(function):
        raise ModelLoadError(f"{path} holds a {type(function).__name__}, expected a predict function")
    return cast("Callable[..., object]", function)
