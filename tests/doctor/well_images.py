"""Images that are not sick but look a little like it: nothing may be found in them."""

from __future__ import annotations

import struct
from collections.abc import Callable

from chassis.doctor.elf_writer import CUDA, ElfPlan, write_elf
from tests.doctor.image_plan import SITE, Item, Plan, link, text
from tests.doctor.sickness import spoil_core

WELL: list[Callable[[Plan], None]] = []


def _well(change: Callable[[Plan], None]) -> Callable[[Plan], None]:
    WELL.append(change)
    return change


@_well
def unchanged(plan: Plan) -> None:
    pass


@_well
def driver_libraries_on_a_gpu_platform(plan: Plan) -> None:
    plan.accelerator = "cuda"
    spoil_core(plan, needed=("libcuda.so.1", "libnvidia-ml.so.1", "libnvidia-ptxjitcompiler.so.1", "libc.so.6"))


@_well
def device_code_for_a_gpu(plan: Plan) -> None:
    plan.wheels[0].files["fast/kernel.cubin"] = write_elf(ElfPlan(machine=CUDA, stack="none"))


@_well
def weak_need_of_a_newer_glibc(plan: Plan) -> None:
    spoil_core(plan, requires={"libc.so.6": ("GLIBC_2.17", "GLIBC_2.38?")})


@_well
def library_found_through_its_loaders_rpath(plan: Plan) -> None:
    plan.wheels[0].files["fast.libs/libfast-1a2b.so.1"] = plan.library(
        soname="libfast-1a2b.so.1", needed=("libdeep.so.1", "libc.so.6")
    )
    plan.wheels[0].files["fast.libs/libdeep.so.1"] = plan.library(soname="libdeep.so.1")
    spoil_core(plan, needed=("libfast-1a2b.so.1", "libc.so.6"), rpath="$ORIGIN/../fast.libs")


@_well
def library_of_another_wheel_that_is_declared(plan: Plan) -> None:
    library = plan.library(needed=("libfast-1a2b.so.1", "libc.so.6"))
    plan.wheels[1].files["pure/_vision.so"] = library
    plan.wheels[1].tag = plan.wheels[0].tag


@_well
def library_through_ld_library_path(plan: Plan) -> None:
    plan.environment["LD_LIBRARY_PATH"] = f"/{SITE}/fast.libs"
    spoil_core(plan, needed=("libfast-1a2b.so.1", "libc.so.6"))


@_well
def library_through_the_loaders_cache(plan: Plan) -> None:
    plan.base["usr/local/lib/libextra.so.1"] = Item(plan.library(soname="libextra.so.1"))
    strings = b"libextra.so.1\0/usr/local/lib/libextra.so.1\0"
    start = 48 + 24
    header = struct.pack("<20sIIB3xI3I", b"glibc-ld.so.cache1.1", 1, len(strings), 2, 0, 0, 0, 0)
    plan.base["etc/ld.so.cache"] = Item(header + struct.pack("<iIIIQ", 0xA03, start, start + 14, 0, 0) + strings)
    spoil_core(plan, needed=("libextra.so.1", "libc.so.6"))


@_well
def features_that_the_cpu_has(plan: Plan) -> None:
    plan.cpu = {"arm64": "neoverse-v1", "amd64": "Haswell"}[plan.architecture]
    plan.features = {"arm64": ("sve", "neon"), "amd64": ("avx2", "x86-64-v3", "sse4_2")}[plan.architecture]


@_well
def secrets_that_are_mounted(plan: Plan) -> None:
    plan.environment |= {"HF_TOKEN_PATH": "/run/secrets/hf", "API_KEY": "/run/secrets/key", "SECRET": ""}
    plan.data["app/data/token"] = link("/run/secrets/token")


@_well
def public_certificates(plan: Plan) -> None:
    body = (
        "-----BEGIN CERTIFICATE-----\n"
        + "MIIFazCCA1OgAwIBAgIRAIIQz7DSQONZRGPgu2OCiwAw\n" * 20
        + "-----END CERTIFICATE-----\n"
    )
    plan.wheels[1].files["pure/cacert.pem"] = body.encode()


@_well
def home_that_the_image_has(plan: Plan) -> None:
    path = b"/home/nonroot/cache/x.bin"
    plan.model["app/model/model.pkl"] = Item(b"\x80\x05\x8c" + bytes([len(path)]) + path + b"\x94.")


@_well
def same_file_in_two_layers(plan: Plan) -> None:
    plan.base["usr/share/zoneinfo/UTC"] = text("TZif2")
    plan.data["usr/share/zoneinfo/UTC"] = text("TZif2")


@_well
def relocatable_objects_of_a_package(plan: Plan) -> None:
    plan.wheels[0].files["fast/static/part.o"] = plan.library(type=1, stack="none")


@_well
def extra_that_nobody_asked_for(plan: Plan) -> None:
    plan.wheels[1].metadata += ["Provides-Extra: dev", 'Requires-Dist: pytest>=8; extra == "dev"']
