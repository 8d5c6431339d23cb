"""Images with ELF files that the device cannot load, or should not."""

from __future__ import annotations

import struct

from chassis.doctor.elf_writer import ARM, EXECUTABLE, X86_64, write_elf32
from tests.doctor.image_plan import SITE, Item, Plan, link, text
from tests.doctor.sickness import CORE, Sickness, registrar, spoil_core

CASES: list[Sickness] = []
_sick = registrar(CASES)


@_sick(("ELF001", CORE), says="is for x86_64, the image is for aarch64")
def x86_module_in_an_arm64_wheel(plan: Plan) -> None:
    spoil_core(plan, machine=X86_64)


@_sick(("ELF001", CORE), says="is for aarch64, the image is for x86_64", architecture="amd64")
def arm64_module_in_an_x86_wheel(plan: Plan) -> None:
    spoil_core(plan, machine=183)


@_sick(("ELF001", CORE), says="32-bit ARM")
def module_for_32_bit_arm(plan: Plan) -> None:
    plan.wheels[0].files["fast/_core.so"] = write_elf32(ARM)


@_sick(("ELF001", "app/code/model/_resize.so"), says="is for x86_64")
def module_of_the_build_machine_in_the_code(plan: Plan) -> None:
    plan.code["app/code/model/_resize.so"] = Item(plan.library(machine=X86_64))


@_sick(("ELF002", CORE), says="needs libgomp.so.1, which is not in the image")
def libgomp_is_missing(plan: Plan) -> None:
    spoil_core(plan, needed=("libgomp.so.1", "libc.so.6"))


@_sick(("ELF002", CORE), ("ELF002", CORE), says="needs libGL.so.1, which is not in the image")
def opencv_without_a_screen(plan: Plan) -> None:
    spoil_core(plan, needed=("libGL.so.1", "libglib-2.0.so.0", "libgthread-2.0.so.0", "libc.so.6"))


@_sick(("ELF002", CORE), says="needs libucp.so.0 and libucs.so.0, which are not in the image")
def several_libraries_of_an_unknown_package(plan: Plan) -> None:
    spoil_core(plan, needed=("libucp.so.0", "libucs.so.0", "libc.so.6"))


@_sick(("ELF002", CORE), says="not where the loader looks for this file")
def grafted_library_without_rpath(plan: Plan) -> None:
    spoil_core(plan, needed=("libfast-1a2b.so.1", "libc.so.6"))


@_sick(("ELF002", CORE), says="of which the image has only one for x86_64")
def grafted_library_of_the_wrong_machine_is_passed_over(plan: Plan) -> None:
    plan.wheels[0].files["fast.libs/libfast-1a2b.so.1"] = plan.library(machine=X86_64, soname="libfast-1a2b.so.1")
    plan.allow = {"ELF001": "looked at by another case"}


@_sick(("ELF002", CORE), says="needs libcuda.so.1")
def driver_library_where_there_is_no_gpu(plan: Plan) -> None:
    spoil_core(plan, needed=("libcuda.so.1", "libc.so.6"))


@_sick(("ELF002", CORE), says="needs libcublas.so.13")
def cuda_library_that_is_no_part_of_the_driver(plan: Plan) -> None:
    plan.accelerator = "cuda"
    spoil_core(plan, needed=("libcublas.so.13", "libcuda.so.1", "libc.so.6"))


@_sick(("ELF002", CORE), says="needs libc.musl-aarch64.so.1")
def musl_wheel(plan: Plan) -> None:
    spoil_core(plan, needed=("libc.musl-aarch64.so.1",), requires={})


@_sick(("ELF002", CORE), says="needs libextra.so.1, which is in the image (/usr/local/lib/libextra.so.1)")
def library_in_usr_local_without_a_loader_cache(plan: Plan) -> None:
    plan.base["usr/local/lib/libextra.so.1"] = Item(plan.library(soname="libextra.so.1"))
    plan.base["etc/ld.so.conf.d/libc.conf"] = text("/usr/local/lib\n")
    spoil_core(plan, needed=("libextra.so.1", "libc.so.6"))


@_sick(("ELF002", CORE), says="needs libfast-1a2b.so.1")
def rpath_that_points_beside_the_libraries(plan: Plan) -> None:
    spoil_core(plan, needed=("libfast-1a2b.so.1", "libc.so.6"), rpath="$ORIGIN/../fast_libs")


@_sick(("ELF002", CORE), says="needs libfast-1a2b.so.1")
def library_that_is_a_link_to_nothing(plan: Plan) -> None:
    del plan.wheels[0].files["fast.libs/libfast-1a2b.so.1"]
    plan.code["app/code/libfast-1a2b.so.1"] = link("libfast-1a2b.so.1.0")
    plan.allow = {"FILE005": "looked at by another case"}


@_sick(("ELF003", CORE), says="needs GLIBC_2.38 of libc.so.6, the one in base debian has no more than GLIBC_2.36")
def wheel_that_needs_a_newer_glibc(plan: Plan) -> None:
    spoil_core(plan, requires={"libc.so.6": ("GLIBC_2.17", "GLIBC_2.38")})


@_sick(("ELF003", CORE), says="needs GLIBCXX_3.4.32 of libstdc++.so.6")
def wheel_that_needs_a_newer_libstdcxx(plan: Plan) -> None:
    needed = ("libstdc++.so.6", "libc.so.6")
    spoil_core(plan, needed=needed, requires={"libstdc++.so.6": ("GLIBCXX_3.4", "GLIBCXX_3.4.32")})


@_sick(("ELF003", CORE), says="needs FAST_2 of libfast-1a2b.so.1")
def grafted_library_of_another_version(plan: Plan) -> None:
    library = plan.library(soname="libfast-1a2b.so.1", defines=("FAST_1",))
    plan.wheels[0].files["fast.libs/libfast-1a2b.so.1"] = library
    requires = {"libfast-1a2b.so.1": ("FAST_2",)}
    spoil_core(plan, needed=("libfast-1a2b.so.1", "libc.so.6"), rpath="$ORIGIN/../fast.libs", requires=requires)


@_sick(("ELF004", CORE), says="has text relocations")
def text_relocations(plan: Plan) -> None:
    spoil_core(plan, text_relocations=True)


@_sick(("ELF005", CORE), says="asks for an executable stack")
def executable_stack(plan: Plan) -> None:
    spoil_core(plan, stack="rwx")


@_sick(("ELF005", CORE), says="asks for an executable stack")
def assembly_without_a_stack_note(plan: Plan) -> None:
    spoil_core(plan, stack="none")


@_sick(("ELF006", CORE), says="/home/builder/project/lib")
def rpath_of_the_build_machine(plan: Plan) -> None:
    spoil_core(plan, runpath="/home/builder/project/lib")


@_sick(("ELF007", f"{SITE}/fast/tool"), says="wants the loader /lib/ld-musl-aarch64.so.1")
def program_for_musl(plan: Plan) -> None:
    plan.wheels[0].files["fast/tool"] = plan.library(type=EXECUTABLE, interpreter="/lib/ld-musl-aarch64.so.1")


@_sick(("ELF008", CORE), says="is damaged")
def module_cut_short(plan: Plan) -> None:
    data = plan.wheels[0].files["fast/_core.so"]
    plan.wheels[0].files["fast/_core.so"] = data[: len(data) // 2]


@_sick(("ELF008", CORE), says="is damaged")
def module_whose_tables_lie(plan: Plan) -> None:
    data = bytearray(plan.wheels[0].files["fast/_core.so"])
    at = data.index(struct.pack("<Q", 5))  # DT_STRTAB
    struct.pack_into("<Q", data, at + 8, 1 << 60)
    plan.wheels[0].files["fast/_core.so"] = bytes(data)


@_sick(
    ("CPU001", CORE),
    says="needs a CPU of level x86-64-v3, the platform's (Nehalem) is of x86-64-v2",
    architecture="amd64",
)
def avx2_module_on_an_old_cpu(plan: Plan) -> None:
    plan.cpu = "Nehalem"
    spoil_core(plan, isa_needed=0b100)


@_sick(("CPU001", CORE), says="needs a CPU of level x86-64-v2, the platform's (the baseline)", architecture="amd64")
def module_of_a_level_on_the_baseline(plan: Plan) -> None:
    spoil_core(plan, isa_needed=0b11)


@_sick(("CPU002", ""), says="asks for avx2, which the platform's CPU (x86-64-v2) lacks", architecture="amd64")
def model_that_declares_avx2_on_x86_64_v2(plan: Plan) -> None:
    plan.cpu = "x86-64-v2"
    plan.features = ("sse4.2", "avx2")


@_sick(("CPU002", ""), says="asks for sve, which the platform's CPU (cortex-a78ae) lacks")
def model_that_declares_sve_on_a_jetson_orin(plan: Plan) -> None:
    plan.cpu = "cortex-a78ae"
    plan.features = ("dotprod", "sve")


@_sick(("CPU002", f"{SITE}/fast-1.0.dist-info/variant.json"), says="needs x86-64-v3", architecture="amd64")
def wheel_variant_of_a_higher_level(plan: Plan) -> None:
    variant = b'{"variants": {"abc": {"x86_64": {"level": ["v3"]}}}}'
    plan.wheels[0].files["fast-1.0.dist-info/variant.json"] = variant


@_sick(("ELF006", CORE), says="is to search lib for libraries, which is relative to wherever the process happens to be")
def rpath_relative_to_the_working_directory(plan: Plan) -> None:
    spoil_core(plan, rpath="$ORIGIN/../fast.libs:lib")


@_sick(("ELF006", CORE), says="/tmp/pip-build-x1/lib for libraries, where everybody on the device can put one")
def rpath_in_a_directory_for_everybody(plan: Plan) -> None:
    spoil_core(plan, runpath="/tmp/pip-build-x1/lib")


@_sick(
    ("ELF008", f"{SITE}/fast/_extra.cpython-311-aarch64-linux-gnu.so"),
    says="named as an extension module and is not an ELF file",
)
def extension_module_that_is_a_web_page(plan: Plan) -> None:
    plan.wheels[0].files["fast/_extra.cpython-311-aarch64-linux-gnu.so"] = b"<html>404</html>"


@_sick(("ELF008", f"{SITE}/fast/_more.abi3.so"), says="named as an extension module and is not an ELF file")
def extension_module_that_is_empty(plan: Plan) -> None:
    plan.wheels[0].files["fast/_more.abi3.so"] = b""


@_sick(("ELF008", CORE), says="a segment begins elsewhere within its page than in memory")
def module_that_no_kernel_can_map(plan: Plan) -> None:
    data = bytearray(plan.wheels[0].files["fast/_core.so"])
    struct.pack_into("<Q", data, 64 + 16, 0x1234)  # p_vaddr of the first segment
    plan.wheels[0].files["fast/_core.so"] = bytes(data)


@_sick(("ELF009", CORE), says="can be mapped with pages of 4096 bytes at most, and Arm's kernels have up to 65536")
def module_for_small_pages(plan: Plan) -> None:
    spoil_core(plan, page_bytes=4096)


@_sick(("IMG002", ""), says="LD_PRELOAD names libjemalloc.so.2, which is not in the image")
def preloaded_library_that_is_missing(plan: Plan) -> None:
    plan.environment["LD_PRELOAD"] = "libm.so.6:libjemalloc.so.2"


@_sick(("IMG002", "etc/ld.so.preload"), says="puts libraries into every program")
def library_in_every_program(plan: Plan) -> None:
    plan.base["etc/ld.so.preload"] = text("/usr/lib/libspy.so\n")
