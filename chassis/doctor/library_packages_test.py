"""Remedies for missing libraries are ones that can be followed."""

from __future__ import annotations

import pytest

from chassis.doctor.library_packages import is_optional_plugin, remedy_for


@pytest.mark.parametrize(
    ("library", "wheel", "says"),
    [
        ("libGL.so.1", "opencv-python", "lock opencv-python-headless in place of opencv-python"),
        ("libX11.so.6", "numpy 2.0, opencv-contrib-python 4.10", "lock opencv-contrib-python-headless in place of"),
        (
            "libGL.so.1",
            "pyrender",
            "a base with the Debian package libgl1 (a base of your own, whose packages debian_locks locks: ",
        ),
        ("libavcodec.so.59", "opencv-python", "have a base with the Debian package that holds it"),
        ("libcuda.so.1", "torch", "it is part of the GPU's driver"),
        ("libcufft.so.12", "cupy", "add the wheel nvidia-cufft"),
    ],
)
def test_the_remedy_fits_the_wheel_that_needs_the_library(library: str, wheel: str, says: str) -> None:
    assert says in remedy_for(library, wheel)


def test_only_plug_ins_of_accelerators_are_optional() -> None:
    site = "opt/venv/lib/python3.11/site-packages/ai_edge_litert"
    assert is_optional_plugin(f"{site}/vendors/qualcomm/compiler/libPlugin.so")
    assert not is_optional_plugin(f"{site}/libLiteRt.so")
