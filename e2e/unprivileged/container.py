#!/usr/bin/env python3
"""Runs a command in a container without privileges, as Docker's defaults, GitLab's runners and Kubernetes give it.

    container.py [--user=UID] [--tmp=OPTIONS] [--without=CALL]… [--env=NAME=VALUE]… STATE COMMAND…

Root is an overlay of this machine's, kept in the directory STATE, whose `/builds` is the container's own. The kernel
gives no namespaces, no mounts and no more capabilities than Docker's default; /proc/sys is read-only and parts of /proc
are masked, so that nobody may mount a new one; /dev/shm has 64 MB. Making it takes root on this machine; nothing in it
has that. What runs in it ends with COMMAND.
"""

from __future__ import annotations

import argparse
import ctypes
import errno
import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

CAPABILITIES = (
    *("chown", "dac_override", "fsetid", "fowner", "mknod", "net_raw", "setgid", "setuid", "setfcap", "setpcap"),
    *("net_bind_service", "sys_chroot", "kill", "audit_write"),
)
"""Docker's default."""

# System calls of x86-64 that Docker's default profile refuses a container without CAP_SYS_ADMIN.
REFUSED = {
    **{"mount": 165, "umount2": 166, "pivot_root": 155, "setns": 308, "unshare": 272, "open_tree": 428},
    **{"move_mount": 429, "fsopen": 430, "fsconfig": 431, "fsmount": 432, "fspick": 433, "mount_setattr": 442},
    **{"bpf": 321, "perf_event_open": 298, "userfaultfd": 323, "add_key": 248, "request_key": 249, "keyctl": 250},
    **{"io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427, "fanotify_init": 300, "swapon": 167},
    **{"swapoff": 168, "reboot": 169, "sethostname": 170, "setdomainname": 171, "init_module": 175},
    **{"delete_module": 176, "finit_module": 313, "kexec_load": 246, "kexec_file_load": 320, "quotactl": 179},
}
OPTIONAL = {"ptrace": 101, "landlock_create_ruleset": 444, "chroot": 161}
"""What `--without` takes away as well: as old kernels and stricter profiles do."""

# What says where packages come from.
_KEPT = (
    "CURL_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
    "REQUESTS_CA_BUNDLE",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
)
_KEPT_PREFIXES = ("CHASSIS_DEBIAN_", "NO_PROXY", "NPM_CONFIG_", "PIP_", "SSL_", "UV_")

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Of what runs in the container, and where what makes it is looked for: a caller's may be without pivot_root."""

_CLONE, _CLONE3, _NEW_NAMESPACES = 56, 435, 0x7E020000
_LOAD, _IF_EQUAL, _IF_ANY_BIT, _RETURN = 0x20, 0x15, 0x45, 0x06
_ALLOW, _ERRNO, _X86_64 = 0x7FFF0000, 0x00050000, 0xC000003E


def main() -> None:
    """Makes the container, or, started anew in its namespaces, becomes what runs in it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--user", type=int, default=0, help="the user's number")
    parser.add_argument("--tmp", default="size=50%", help="options of the file system on /tmp, such as size=64m,noexec")
    parser.add_argument("--without", action="append", default=[], choices=sorted(OPTIONAL))
    parser.add_argument("--env", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("state", type=Path)
    parser.add_argument("command", nargs=argparse.REMAINDER)
    arguments = parser.parse_args()
    if os.geteuid():
        sys.exit("container.py: error: only root can make a container like this\n  run it as root")
    if arguments.inside:
        _enter(arguments)
    for name in ("upper", "overlay", "root"):
        (arguments.state / name).mkdir(parents=True, exist_ok=True)
    # A process namespace ends with its first process, so nothing that the command starts is left behind.
    unshare = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--ipc", "--uts", "--propagation=private"]
    again = [sys.executable, __file__, "--inside", *sys.argv[1:]]
    sys.exit(subprocess.run([*unshare, *again]).returncode)


def _enter(arguments: argparse.Namespace) -> None:
    state = arguments.state.resolve()
    root = state / "root"
    layers = f"lowerdir=/,upperdir={state}/upper,workdir={state}/overlay"
    _mount("overlay", root, "overlay", layers)
    _fill_proc(root)
    _fill_dev(root)
    _mount("tmpfs", root / "tmp", "tmpfs", f"mode=1777,{arguments.tmp}")
    home = Path("home") / f"user{arguments.user}" if arguments.user else Path("root")
    for name in (home, Path("builds")):
        (root / name).mkdir(parents=True, exist_ok=True)
        os.chown(root / name, arguments.user, arguments.user)
    (root / "old").mkdir(exist_ok=True)
    os.chdir(root)
    _run("pivot_root", ".", "old")
    _run("umount", "--lazy", "/old")
    os.chdir("/builds")
    environment = {
        **{"HOME": f"/{home}", "PATH": _PATH, "TERM": "dumb"},
        **{name: value for name, value in os.environ.items() if name in _KEPT or name.startswith(_KEPT_PREFIXES)},
        **dict(pair.split("=", 1) for pair in arguments.env),
    }
    setpriv = shutil.which("setpriv", path=_PATH) or sys.exit("container.py: error: no setpriv; install util-linux")
    bounds = ",".join(["-all", *(f"+{name}" for name in CAPABILITIES)])
    user = str(arguments.user)
    command = [setpriv, "--reuid", user, "--regid", user, "--clear-groups", "--inh-caps=-all"]
    _refuse({**REFUSED, **{name: OPTIONAL[name] for name in arguments.without}})
    os.execve(setpriv, [*command, f"--bounding-set={bounds}", *arguments.command], environment)


def _fill_proc(root: Path) -> None:
    proc = root / "proc"
    _mount("proc", proc, "proc", "nosuid,nodev,noexec")
    _bind(proc / "sys", proc / "sys")
    _run("mount", "-o", "remount,bind,ro", str(proc / "sys"))
    for name in ("kcore", "keys", "timer_list", "latency_stats", "sched_debug"):
        if (proc / name).exists():
            _bind(Path("/dev/null"), proc / name)
    for name in ("acpi", "scsi"):
        if (proc / name).is_dir():
            _mount("tmpfs", proc / name, "tmpfs", "ro")
    _mount("sysfs", root / "sys", "sysfs", "ro")


def _fill_dev(root: Path) -> None:
    dev = root / "dev"
    _mount("tmpfs", dev, "tmpfs", "size=64k,mode=755,nosuid")
    for name in ("null", "zero", "full", "random", "urandom", "tty"):
        (dev / name).touch()
        _bind(Path("/dev") / name, dev / name)
    for name, target in {"fd": "", "stdin": "/0", "stdout": "/1", "stderr": "/2"}.items():
        (dev / name).symlink_to(f"/proc/self/fd{target}")
    for name, kind, options in (
        ("shm", "tmpfs", "size=64m,mode=1777,nosuid,nodev,noexec"),
        ("pts", "devpts", "newinstance,ptmxmode=0666,mode=0620"),
    ):
        (dev / name).mkdir()
        _mount(kind, dev / name, kind, options)
    (dev / "ptmx").symlink_to("pts/ptmx")


def _mount(source: str, target: Path, kind: str, options: str) -> None:
    _run("mount", "-t", kind, "-o", options, source, str(target))


def _bind(source: Path, target: Path) -> None:
    _run("mount", "--bind", str(source), str(target))


def _run(*command: str) -> None:
    if subprocess.run(command, env={"PATH": _PATH}).returncode:
        sys.exit(f"container.py: error: {' '.join(command)} failed")


def _refuse(calls: dict[str, int]) -> None:
    """A filter of system calls for this process and all that it becomes."""
    steps = [(_LOAD, 0, 0, 4), (_IF_EQUAL, 1, 0, _X86_64), (_RETURN, 0, 0, _ERRNO | errno.ENOSYS), (_LOAD, 0, 0, 0)]
    for number in sorted(calls.values()):
        steps += [(_IF_EQUAL, 0, 1, number), (_RETURN, 0, 0, _ERRNO | errno.EPERM)]
    steps += [(_IF_EQUAL, 0, 1, _CLONE3), (_RETURN, 0, 0, _ERRNO | errno.ENOSYS)]
    steps += [(_IF_EQUAL, 0, 3, _CLONE), (_LOAD, 0, 0, 16), (_IF_ANY_BIT, 0, 1, _NEW_NAMESPACES)]
    steps += [(_RETURN, 0, 0, _ERRNO | errno.EPERM), (_RETURN, 0, 0, _ALLOW)]
    program = b"".join(struct.pack("HBBI", *step) for step in steps)
    buffer = ctypes.create_string_buffer(program, len(program))
    pointer = struct.pack("HxxxxxxQ", len(steps), ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    # Not with no_new_privs: Docker's containers may run setuid programs.
    if libc.prctl(22, 2, pointer, 0, 0):
        sys.exit(f"container.py: error: no filter of system calls: {os.strerror(ctypes.get_errno())}")


if __name__ == "__main__":
    main()
