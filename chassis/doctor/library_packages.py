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
_DRIVER = ("libcuda.so", "libnvidia-", "libnvcuvid.so", "libcudadebugger.so")


def remedy_for(library: str) -> str:
    """What to do if the image has no library of that name."""
    if library.startswith(("libc.musl-", "ld-musl-")):
        return "it is built for musl: take the manylinux wheel, not the musllinux one"
    if library.startswith(_DRIVER):
        return "it is part of the GPU's driver: build for a platform with //platforms/accelerator:cuda"
    if wheel := _CUDA.get(library.partition(".so")[0]):
        return f"add the wheel {wheel} (or its release for your CUDA) to `deps`, if the model uses it"
    if package := _DEBIAN.get(library):
        return f"add the Debian package {package} to the base's lock, or take a wheel that brings the library along"
    return "add the Debian package that holds it to the base's lock, or take a wheel that brings the library along"
