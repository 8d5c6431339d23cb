"""The codes of findings: stable, each with what it means and what it does on the device."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Code:
    """A kind of finding: `title` in a few words, `consequence` what happens on the device."""

    name: str
    title: str
    consequence: str


_ALL = (
    Code(
        "ELF001",
        "ELF file for another CPU",
        "The loader refuses it: `cannot open shared object file` or `Exec format error`.",
    ),
    Code(
        "ELF002",
        "needed library not found",
        "Importing what needs it fails: `cannot open shared object file`.",
    ),
    Code(
        "ELF003",
        "symbol version that the library in the image lacks",
        "Loading fails: ``version `GLIBC_2.38' not found``.",
    ),
    Code("ELF004", "text relocations", "Code pages become writable; SELinux and hardened kernels refuse them."),
    Code(
        "ELF005",
        "executable stack",
        "Loading fails if the kernel or glibc (from 2.41) refuses it, and an attack is easier if not.",
    ),
    Code(
        "ELF006",
        "unsafe library search path",
        "Whoever can write to that directory on the device can run code in the server.",
    ),
    Code(
        "ELF007",
        "program whose loader is not in the image",
        "Starting it fails with `No such file or directory`, though it is there.",
    ),
    Code("ELF008", "damaged ELF file", "It cannot be loaded."),
    Code(
        "ELF009",
        "segments for small pages only",
        "Kernels with pages of 16 or 64 KiB refuse it: `ELF load command address/offset not page-aligned`.",
    ),
    Code(
        "CPU001",
        "file that needs a CPU of a higher level",
        "The loader refuses it: `CPU ISA level is lower than required`.",
    ),
    Code(
        "CPU002",
        "declared CPU feature that the platform's CPU lacks",
        "`Illegal instruction` in the midst of a request.",
    ),
    Code(
        "PY001",
        "required distribution not installed",
        "Importing it fails, perhaps only in the midst of a request.",
    ),
    Code("PY002", "required distribution of another version", "It fails if the versions differ."),
    Code("PY003", "distribution installed twice", "Which files and which version are used is left to chance."),
    Code("PY004", "distribution for another Python", "It fails if it uses what this Python lacks."),
    Code("PY005", "script without interpreter", "Starting it fails with `No such file or directory`."),
    Code("PY006", "`.pth` file with a path that is not in the image", "Imports that counted on it fail."),
    Code(
        "PY007",
        "distribution built for another platform",
        "Its extension modules are not for this CPU, or are missing.",
    ),
    Code("PY008", "unreadable distribution metadata", "pip and importlib.metadata fail on it."),
    Code(
        "PY009",
        "extension module under another Python's name",
        "This Python does not look for it: `ModuleNotFoundError`.",
    ),
    Code(
        "PY010",
        "module that hides one of Python's own",
        "Whatever imports Python's module gets this one, the server included.",
    ),
    Code(
        "FILE001",
        "two layers or wheels put different things at one path",
        "What runs is the upper layer's, or the later wheel's, not what the other was tested with.",
    ),
    Code("FILE002", "setuid, setgid or file capabilities", "A way to more rights for whoever gets into the container."),
    Code(
        "FILE003",
        "file or directory that everybody can write",
        "Code in the container can change what is not its own.",
    ),
    Code(
        "FILE004",
        "link out of the image's root",
        "Unpackers refuse the image, or it leads to the host's files.",
    ),
    Code("FILE005", "link to nothing", "Opening it fails."),
    Code(
        "FILE006",
        "path of the build machine",
        "It does not exist on the device, and tells of the build machine.",
    ),
    Code(
        "FILE007",
        "device or pipe in a layer",
        "It cannot be made without root, or gives access to the host's devices.",
    ),
    Code(
        "FILE008",
        "Git LFS pointer in place of a file",
        "The model reads three lines of text as its weights.",
    ),
    Code("SEC001", "file with credentials", "Whoever can pull the image has them."),
    Code("SEC002", "credential in the configuration", "Whoever can pull or inspect the image has it."),
    Code(
        "IMG001",
        "image that cannot start",
        "The container ends at once: its first program is not there or none.",
    ),
    Code(
        "IMG002",
        "doubtful preloading",
        "Every program prints an error of the loader, or has a library in it that the configuration does not show.",
    ),
)

CODES = {code.name: code for code in _ALL}
"""Every code by its name."""
