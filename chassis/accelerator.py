"""Where a predict function computes: on the GPU of an image for CUDA, if one answers, else on the CPU."""

from __future__ import annotations

import ctypes
import functools
import logging
import os
import sys

_LOG = logging.getLogger("chassis")

ACCELERATOR_VARIABLE = "CHASSIS_ACCELERATOR"
"""Set to `cuda` in the environment of images for a platform with CUDA."""

_DRIVER = "libcuda.so.1"


class Device(str):
    """`cuda` or `cpu`, pickled as the question and not as the answer: the image asks anew.

    A predict function may therefore keep `DEVICE = chassis.device()` at the top of its module.
    """

    __slots__ = ()

    def __reduce__(self) -> tuple[object, ...]:
        return device, ()


def device() -> str:
    """Returns `cuda` in an image for CUDA if a GPU answers, else `cpu`: what PyTorch and others take for a device.

    If an image for CUDA finds no GPU, the log says why, once.
    """
    return Device("cuda" if os.environ.get(ACCELERATOR_VARIABLE) == "cuda" and _gpu_answers() else "cpu")


@functools.cache
def _gpu_answers() -> bool:
    reason = _no_gpu()
    if reason:
        _LOG.warning("no GPU answers, the CPU computes: %s", reason)
    return not reason


def _no_gpu() -> str | None:
    """Why there is no GPU to compute on; None if there is one.

    The driver is asked directly (CUDA driver API, cuInit and cuDeviceGetCount), so that no framework is needed. A
    framework that is imported already may yet be built for another driver: PyTorch is asked too.
    """
    try:
        driver = ctypes.CDLL(_DRIVER)
    except OSError as error:
        return f"{error}; the container runtime brings the driver in, such as with `--gpus all`"
    count = ctypes.c_int(0)
    for call, arguments in (("cuInit", (0,)), ("cuDeviceGetCount", (ctypes.byref(count),))):
        status = getattr(driver, call)(*arguments)
        if status:
            return f"{_DRIVER}: {call} returned {status}"
    if not count.value:
        return f"{_DRIVER} lists no device"
    torch = sys.modules.get("torch")
    if torch is not None and not torch.cuda.is_available():
        return f"the driver lists {count.value}, but PyTorch {torch.__version__} cannot use any"
    return None
