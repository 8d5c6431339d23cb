"""ELF files: for the right CPU, with every library and symbol version in reach, and hardened."""

from __future__ import annotations

from collections.abc import Iterator

from chassis.doctor.build_paths import build_paths_in
from chassis.doctor.cpu import X86_LEVELS, features_of, level_of, level_of_bits
from chassis.doctor.finding import Finding
from chassis.doctor.image import MACHINES, PYTHON_MACHINES, ElfFile, Image
from chassis.doctor.library_packages import is_optional_plugin, remedy_for
from chassis.doctor.loader import Loader
from chassis.doctor.requirements import layers_needed

# ELF files that no CPU loads: code for accelerators and for the kernel's own machine, and of no machine: test data.
_NOT_FOR_CPUS = ("EM_CUDA", "EM_AMDGPU", "EM_BPF", "EM_NONE")
_MAX_PAGE_BYTES = 1 << 16
_FOR_EVERYBODY = ("/tmp/", "/var/tmp/", "/dev/shm/")
_NAMES = {machine: PYTHON_MACHINES[name] for name, machine in MACHINES.items()} | {
    "EM_386": "32-bit x86",
    "EM_ARM": "32-bit ARM",
    "EM_RISCV": "RISC-V",
    "EM_PPC64": "POWER",
    "EM_S390": "IBM Z",
}


def check_elves(image: Image) -> Iterator[Finding]:
    """Yields what is wrong with the image's ELF files."""
    loader = Loader(image)
    needed_layers = layers_needed(image)
    for file in image.elves.values():
        if file.elf.machine in _NOT_FOR_CPUS:
            continue
        if file.elf.defect:
            yield _finding(
                image, file, "ELF008", f"is damaged: {file.elf.defect}", "build or download the package again"
            )
        elif file.elf.machine != image.machine or file.elf.bits != 64:
            yield _wrong_machine(image, file)
        elif file.elf.type in ("shared", "executable"):
            yield from _check_loading(image, loader, needed_layers, file)
            yield from _check_hardening(image, file)
            yield from _check_level(image, file)


def _finding(image: Image, file: ElfFile, code: str, defect: str, remedy: str) -> Finding:
    return Finding(code, image.name(file.layer), file.path, defect, remedy)


def _wrong_machine(image: Image, file: ElfFile) -> Finding:
    wanted = PYTHON_MACHINES.get(image.target.architecture, image.target.architecture)
    is_wheel = image.layers[file.layer].origin.kind.startswith("wheel")
    found = _NAMES.get(file.elf.machine, file.elf.machine)
    return _finding(
        image,
        file,
        "ELF001",
        f"is for {found}, the image is for {wanted}",
        f"lock a wheel of it that is built for {wanted}, or cross-build it (chassis_wheel)"
        if is_wheel
        else f"build it for {wanted}",
    )


def _check_loading(
    image: Image, loader: Loader, needed_layers: dict[int, set[int]], file: ElfFile
) -> Iterator[Finding]:
    if file.elf.interpreter and image.elf_at(file.elf.interpreter) is None:
        is_musl = "musl" in file.elf.interpreter
        yield _finding(
            image,
            file,
            "ELF007",
            f"wants the loader {file.elf.interpreter}, which is not in the image",
            "it is built for musl: take the manylinux wheel, not the musllinux one"
            if is_musl
            else "add the package with that loader to the base",
        )
    found: dict[str, ElfFile] = {}
    lacking: list[str] = []
    for name in file.elf.needed:
        known = loader.find(file, name)
        if known is None:
            lacking.append(name)
        elif known.file:
            found[name] = known.file
            found.setdefault(known.file.elf.soname, known.file)
    yield from _missing_libraries(image, needed_layers, file, lacking)
    yield from _check_versions(image, file, found)


def _missing_libraries(
    image: Image, needed_layers: dict[int, set[int]], file: ElfFile, names: list[str]
) -> Iterator[Finding]:
    nowhere: dict[str, list[str]] = {}
    imported_before: dict[int, list[str]] = {}
    for name in names:
        elsewhere = image.libraries_named(name)
        usable = [other for other in elsewhere if other.elf.machine == image.machine and other.elf.bits == 64]
        before = [other for other in usable if other.layer in needed_layers.get(file.layer, ())]
        if before:
            imported_before.setdefault(before[0].layer, []).append(name)
        elif usable:
            yield _finding(
                image,
                file,
                "ELF002",
                f"needs {name}, which is in the image (/{usable[0].path}) but not where the loader looks for this file",
                "load it before the import (ctypes.CDLL with RTLD_GLOBAL), set LD_LIBRARY_PATH in `env`, or give the "
                "file an RPATH relative to $ORIGIN",
            )
        elif elsewhere:
            machine = _NAMES.get(elsewhere[0].elf.machine, elsewhere[0].elf.machine)
            yield _finding(
                image,
                file,
                "ELF002",
                f"needs {name}, of which the image has only one for {machine} (/{elsewhere[0].path})",
                "take the package that holds it for the image's CPU",
            )
        else:
            remedy = remedy_for(name, image.layers[file.layer].origin.name, file.path)
            nowhere.setdefault(remedy, []).append(name)
    for remedy, lacking in nowhere.items():
        what = "which is" if len(lacking) == 1 else "which are"
        yield Finding(
            "ELF002",
            image.name(file.layer),
            file.path,
            f"needs {' and '.join(lacking)}, {what} not in the image",
            remedy,
            "note" if is_optional_plugin(file.path) else "error",
        )
    for layer, loaded in imported_before.items():
        # A package that declares another one imports it first, and what is loaded then answers to its name.
        yield Finding(
            "ELF002",
            image.name(file.layer),
            file.path,
            f"needs {' and '.join(loaded)}, found only where {image.name(layer)} was imported before",
            "none needed if the package imports the other one itself, as it declares",
            "note",
        )


def _check_versions(image: Image, file: ElfFile, found: dict[str, ElfFile]) -> Iterator[Finding]:
    lacking: dict[str, list[str]] = {}
    for need in file.elf.requires:
        library = found.get(need.library)
        # A library without versions satisfies every need, with a warning (glibc, elf/dl-version.c).
        if library and library.elf.defines and not need.weak and need.version not in library.elf.defines:
            lacking.setdefault(need.library, []).append(need.version)
    for name, versions in lacking.items():
        library = found[name]
        newest = _newest(library.elf.defines, versions[0])
        wanted = ", ".join(sorted(versions, key=_version_key))
        limit = f"no more than {newest}" if newest else "no such versions"
        yield _finding(
            image,
            file,
            "ELF003",
            f"needs {wanted} of {name}, the one in {image.name(library.layer)} has {limit}",
            "take an older release of the package, or a wheel with an older manylinux tag, or cross-build it for the "
            "base's glibc (chassis_wheel), or choose a newer base",
        )


def _newest(defined: tuple[str, ...], like: str) -> str:
    """The highest of the defined versions of the same family (`GLIBC_2.36` for one like `GLIBC_2.38`)."""
    family = like.rpartition("_")[0] + "_"
    same = [name for name in defined if name.startswith(family) and name.removeprefix(family)[:1].isdigit()]
    return max(same, key=_version_key, default="")


def _version_key(name: str) -> tuple[str, list[int]]:
    family, _, numbers = name.rpartition("_")
    return family, [int(part) if part.isdigit() else 0 for part in numbers.split(".")]


def _check_hardening(image: Image, file: ElfFile) -> Iterator[Finding]:
    if file.elf.text_relocations:
        yield _finding(image, file, "ELF004", "has text relocations", "compile all of it, assembly too, with -fPIC")
    if file.elf.executable_stack:
        yield _finding(
            image,
            file,
            "ELF005",
            "asks for an executable stack",
            "link it with -z noexecstack, assembly sources need a .note.GNU-stack section",
        )
    for path in (*file.elf.rpath, *file.elf.runpath):
        if why := _unsafe(image, path):
            yield _finding(
                image,
                file,
                "ELF006",
                f"is to search {path} for libraries, {why}",
                "take another release of the wheel, or have it built here from its source (cross_build of its hub); if "
                "nobody can write there on the device, waive it"
                if image.layers[file.layer].origin.kind.startswith("wheel")
                else "strip the RPATH (patchelf --remove-rpath) or make it relative to $ORIGIN",
            )
            break
    if image.target.architecture == "arm64" and 0 < file.elf.page_bytes < _MAX_PAGE_BYTES:
        yield _finding(
            image,
            file,
            "ELF009",
            f"can be mapped with pages of {file.elf.page_bytes} bytes at most, and Arm's kernels have up to "
            f"{_MAX_PAGE_BYTES}",
            "link it with -z max-page-size=65536, as compilers for arm64 do by themselves",
        )


def _unsafe(image: Image, path: str) -> str:
    """Why a library search path does not fit an image, "" if it does."""
    if not path.startswith(("/", "$")):
        return "which is relative to wherever the process happens to be"
    if path.startswith(_FOR_EVERYBODY):
        return "where everybody on the device can put one"
    if build_paths_in(f"{path}/x".encode()) and image.tree.resolve(path) is None:
        return "a directory of the machine that built it"
    return ""


def _check_level(image: Image, file: ElfFile) -> Iterator[Finding]:
    if image.target.architecture != "amd64" or not (needed := level_of_bits(file.elf.isa_needed)):
        return
    target = image.target
    present = features_of("amd64", target.cpu, target.variant)
    if present is not None and not X86_LEVELS[needed - 1] <= present:
        yield _finding(
            image,
            file,
            "CPU001",
            f"needs a CPU of level x86-64-v{needed}, the platform's ({target.cpu or 'the baseline'}) is of x86-64-v"
            f"{level_of(present)}",
            "take a wheel for the baseline, or build for a platform whose //platforms/cpu has that level",
        )
