"""The memory of NVIDIA's GPUs, by the driver's own library.

https://docs.nvidia.com/deploy/nvml-api/group__nvmlDeviceQueries.html
"""

from __future__ import annotations

import ctypes

_LIBRARY = "libnvidia-ml.so.1"


class _Memory(ctypes.Structure):
    """`nvmlMemory_t`, bytes."""

    _fields_ = (("total", ctypes.c_ulonglong), ("free", ctypes.c_ulonglong), ("used", ctypes.c_ulonglong))


def memory_of_gpus() -> list[tuple[int, int]]:
    """For each GPU that the container has, the bytes in use and all of them; nothing without a driver."""
    try:
        nvml = ctypes.CDLL(_LIBRARY)
        if nvml.nvmlInit_v2():
            return []
    except (OSError, AttributeError):
        return []
    count = ctypes.c_uint()
    found = []
    if not nvml.nvmlDeviceGetCount_v2(ctypes.byref(count)):
        for number in range(count.value):
            device, memory = ctypes.c_void_p(), _Memory()
            if nvml.nvmlDeviceGetHandleByIndex_v2(number, ctypes.byref(device)):
                continue
            if not nvml.nvmlDeviceGetMemoryInfo(device, ctypes.byref(memory)):
                found.append((memory.used, memory.total))
    nvml.nvmlShutdown()
    return found
