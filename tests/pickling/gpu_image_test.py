"""An image for CUDA on a machine without a GPU: it says so once, and its model computes on the CPU."""

from __future__ import annotations

import os
from pathlib import Path

from chassis.image_test.case_file import EQUAL_JSON, Case, Expectation
from chassis.image_test.image_check import Plan, check_image
from chassis.sandbox.ladder import Tools


def test_without_a_gpu_the_log_says_so_once_and_the_cpu_computes(tmp_path: Path):
    answer = {"device": "cpu", "machine": "x86_64", "tenth": 10.5, "whole": 10}
    case = Case(
        name="twice",
        inputs=({"input": b"[1, 2, 3, 4, 5.5]"},) * 2,
        success=(True, True),
        outputs=({"results.json": Expectation(EQUAL_JSON, answer)},) * 2,
        accuracy=None,
    )
    plan = Plan(Path(os.environ["GPU_IMAGE"]), Tools(Path(os.environ["BWRAP"]), Path(os.environ["PROOT"])), [case])
    outcome = check_image(plan, tmp_path, print)
    assert [(result.name, result.failure) for result in outcome.results] == [("twice", ""), ("Shutdown", "")]
    assert outcome.log.count("no GPU answers, the CPU computes: libcuda.so.1: cannot open shared object file") == 1
