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
def release_past_an_upper_bound_of_its_requires_python(plan: Plan) -> None:
    plan.wheels[0].metadata[0] = "Requires-Python: >=3.8,<3.11"


@_well
def copies_of_other_packages_within_one(plan: Plan) -> None:
    plan.wheels[1].files["pure/_vendor/fast-0.9.dist-info/METADATA"] = (
        b"Metadata-Version: 2.1\nName: fast\nVersion: 0.9\n"
    )


@_well
def elf_file_of_no_machine(plan: Plan) -> None:
    plan.wheels[0].files["fast/tests/none.elf"] = write_elf(ElfPlan(machine=0, stack="none"))


@_well
def plug_in_for_an_accelerator_that_is_not_there(plan: Plan) -> None:
    plan.wheels[0].files["ai_edge_litert/vendors/qualcomm/compiler/libPlugin.so"] = plan.library(
        needed=("libQnnHtp.so", "libc.so.6")
    )


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


@_well
def modules_for_several_pythons(plan: Plan) -> None:
    triplet = {"arm64": "aarch64-linux-gnu", "amd64": "x86_64-linux-gnu"}[plan.architecture]
    for python in ("310", "311", "312", "313t"):
        plan.wheels[0].files[f"fast/_many.cpython-{python}-{triplet}.so"] = plan.library()


@_well
def own_modules_that_hide_nothing(plan: Plan) -> None:
    plan.code["app/code/test/__init__.py"] = text("")
    plan.code["app/code/platform/tools.py"] = text("")  # Without an __init__.py it does not hide `platform`.
    plan.code["app/code/json_lines.py"] = text("")
    plan.code["app/code/model/json.py"] = text("")
    plan.data["app/data/json.py"] = text("")


@_well
def preloaded_libraries_that_are_there(plan: Plan) -> None:
    plan.environment["LD_PRELOAD"] = "libm.so.6 libstdc++.so.6"
    plan.base["etc/ld.so.preload"] = text("")


@_well
def accounts_that_are_locked(plan: Plan) -> None:
    plan.base["etc/shadow"] = text("root:*:19000:0:99999:7:::\nnonroot:!:19000::::::\n", 0o640)
    plan.code["app/code/etc/README"] = text("root:$6$ and so on\n")


@_well
def small_pages_where_all_pages_are_small(plan: Plan) -> None:
    if plan.architecture == "amd64":
        spoil_core(plan, page_bytes=4096)


@_well
def search_path_in_the_image(plan: Plan) -> None:
    spoil_core(plan, runpath=f"/{SITE}/fast.libs:/usr/local/cuda/lib64", needed=("libfast-1a2b.so.1", "libc.so.6"))


@_well
def gitignore_and_attributes(plan: Plan) -> None:
    plan.code["app/code/.gitattributes"] = text("*.bin filter=lfs diff=lfs merge=lfs -text\n")
    plan.code["app/code/.gitignore"] = text("*.pyc\n")


@_well
def python_beside_another_of_debians(plan: Plan) -> None:
    del plan.base["var/lib/dpkg/status.d/python3.11-minimal"]
    plan.base["var/lib/dpkg/status.d/python3.9-minimal"] = text("Package: python3.9-minimal\nVersion: 3.9.2-1\n")
    plan.base["usr/local/bin/python3.11"] = plan.base["usr/bin/python3.11"]
    plan.base["usr/bin/python3.9"] = plan.base.pop("usr/bin/python3.11")
    plan.runtime["opt/venv/bin/python"] = link("/usr/local/bin/python3.11")
