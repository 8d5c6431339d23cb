"""The memory of GPUs in the metrics, beside what nvidia-smi says of it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from chassis.runtime.core.exposition import gpu_metrics
from chassis.runtime.core.nvml import memory_of_gpus

_DRIVER = Path("/dev/nvidiactl").exists()


@pytest.mark.skipif(_DRIVER, reason="this machine has a GPU")
def test_without_a_gpu_there_are_no_metrics_of_one() -> None:
    assert memory_of_gpus() == []
    assert gpu_metrics() == []


@pytest.mark.skipif(not _DRIVER or not shutil.which("nvidia-smi"), reason="this machine has no GPU, or no nvidia-smi")
def test_each_gpu_has_the_memory_that_its_driver_says() -> None:
    asked = ["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
    megabytes = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.split()
    found = memory_of_gpus()
    assert [total >> 20 for _, total in found] == [int(text) for text in megabytes]
    assert all(0 <= used <= total for used, total in found)
    text = "\n".join(gpu_metrics())
    for number, (_, total) in enumerate(found):
        assert f'chassis_gpu_memory_bytes{{gpu="{number}"}} {total}' in text
