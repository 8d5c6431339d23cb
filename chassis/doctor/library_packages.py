"""Where libraries that images often lack come from, for remedies: Debian's packages and wheels of the index."""

from __future__ import annotations

_DEBIAN = {
    "libGL.so.1": "libgl1",
    "libEGL.so.1": "libegl1",
    "libSM.so.6": "libsm6",
    "libX11.so.6": "libx11-6",
    "libXext.so.6": "libxext6",
    "libXrender.so.1": "libxrender1",
    "libblas.so.3": "libblas3",
    "libexpat.so.1": "libexpat1",
    "libffi.so.8": "libffi8",
    "libfontconfig.so.1": "libfontconfig1",
    "libfreetype.so.6": "libfreetype6",
    "libgfortran.so.5": "libgfortran5",
    "libglib-2.0.so.0": "libglib2.0-0",
    "libgomp.so.1": "libgomp1",
    "libgthread-2.0.so.0": "libglib2.0-0",
    "libibverbs.so.1": "libibverbs1",
    "liblapack.so.3": "liblapack3",
    "libnuma.so.1": "libnuma1",
    "libopenblas.so.0": "libopenblas0",
    "libsndfile.so.1": "libsndfile1",
    "libssl.so.3": "libssl3",
    "libcrypto.so.3": "libssl3",
    "libstdc++.so.6": "libstdc++6",
    "libgcc_s.so.1": "libgcc-s1",
    "libtbb.so.12": "libtbb12",
    "libusb-1.0.so.0": "libusb-1.0-0",
    "libxml2.so.2": "libxml2",
    "libz.so.1": "zlib1g",
}
_BASE = "a base of your own, whose packages debian_locks locks: docs/layers.md"
# A library's name up to `.so`, and the wheel; those before CUDA 13 end in -cu12.
_CUDA = {
    "libcublas": "nvidia-cublas",
    "libcublasLt": "nvidia-cublas",
    "libcudart": "nvidia-cuda-runtime",
    "libcudnn": "nvidia-cudnn-cu13",
    "libcufft": "nvidia-cufft",
    "libcufile": "nvidia-cufile",
    "libcupti": "nvidia-cuda-cupti",
    "libcurand": "nvidia-curand",
    "libcusolver": "nvidia-cusolver",
    "libcusparse": "nvidia-cusparse",
    "libcusparseLt": "nvidia-cusparselt-cu13",
    "libcutensor": "cutensor-cu13",
    "libnccl": "nvidia-nccl-cu13",
    "libnvJitLink": "nvidia-nvjitlink",
    "libnvrtc": "nvidia-cuda-nvrtc",
}
# Of wheels that open a window, what serves without one. The libraries come with a desktop.
_HEADLESS = {
    "opencv-contrib-python": "opencv-contrib-python-headless",
    "opencv-python": "opencv-python-headless",
}
_DESKTOP = ("libGL.", "libEGL.", "libSM.", "libICE.", "libX", "libxcb", "libglib-2.0.", "libgthread-2.0.", "libQt")
# Plug-ins for accelerators that their vendors bring the rest of: loaded only where that is.
_PLUGINS = ("/ai_edge_litert/vendors/",)
_DRIVER = ("libcuda.so", "libnvidia-", "libnvcuvid.so", "libcudadebugger.so")


def is_optional_plugin(path: str) -> bool:
    """Whether a file is loaded only where an accelerator's vendor has put what it needs."""
    return any(place in f"/{path}" for place in _PLUGINS)


def remedy_for(library: str, wheel: str = "", path: str = "") -> str:
    """What to do if the image has no library of that name, which a file at `path` of the wheel `wheel` needs.

    Of a layer that several wheels share, `wheel` names them all.
    """
    if is_optional_plugin(path):
        return "none needed: it is a plug-in for an accelerator, loaded where the vendor's software is"
    if library.startswith(_DESKTOP):
        for name in [label.partition(" ")[0] for label in wheel.split(", ")]:
            if headless := _HEADLESS.get(name, ""):
                return f"lock {headless} in place of {name}: the same without windows, and without {library}"
    if library.startswith(("libc.musl-", "ld-musl-")):
        return "it is built for musl: take the manylinux wheel, not the musllinux one"
    if library.startswith(_DRIVER):
        return "it is part of the GPU's driver: build for a platform with //platforms/accelerator:cuda"
    if cuda := _CUDA.get(library.partition(".so")[0]):
        return f"add the wheel {cuda} (or its release for your CUDA) to `deps`, if the model uses it"
    if debian := _DEBIAN.get(library):
        return f"take a wheel that brings the library along, or have a base with the Debian package {debian} ({_BASE})"
    return f"take a wheel that brings the library along, or have a base with the Debian package that holds it ({_BASE})"
