"""Images with files that should not be there, or not so."""

from __future__ import annotations

import tarfile

from tests.doctor.image_plan import SITE, Item, Plan, link, tar_layer, text
from tests.doctor.sickness import Sickness, registrar

CASES: list[Sickness] = []
_sick = registrar(CASES)


@_sick(("FILE001", "usr/share/zoneinfo/UTC"), says="differs from the file that base debian has there")
def two_contents_at_one_path(plan: Plan) -> None:
    plan.base["usr/share/zoneinfo/UTC"] = text("TZif2")
    plan.data["usr/share/zoneinfo/UTC"] = text("TZif3")


@_sick(("FILE001", "usr/lib/aarch64-linux-gnu/libm.so.6"), says="differs from the file that base debian has there")
def data_over_a_library_of_the_base(plan: Plan) -> None:
    plan.data["usr/lib/aarch64-linux-gnu/libm.so.6"] = link("libc.so.6")


@_sick(("FILE002", "usr/bin/su"), says="is setuid (mode 4755)")
def setuid_program(plan: Plan) -> None:
    plan.base["usr/bin/su"] = Item(b"program", 0o4755)


@_sick(("FILE002", "usr/bin/wall"), says="is setgid (mode 2755)")
def setgid_program(plan: Plan) -> None:
    plan.base["usr/bin/wall"] = Item(b"program", 0o2755)


@_sick(("FILE003", "app/data/weights.bin"), says="can be written by everybody (mode 0666)")
def weights_that_everybody_can_write(plan: Plan) -> None:
    plan.data["app/data/weights.bin"] = Item(b"weights", 0o666)


@_sick(("FILE003", "var/cache/model"), says="can be written by everybody (mode 0777)")
def directory_that_everybody_can_write(plan: Plan) -> None:
    plan.base["var/cache/model"] = Item(type="dir", mode=0o777)


@_sick(("FILE003", "tmp"), says="can be written by everybody (mode 0777)")
def tmp_without_its_sticky_bit(plan: Plan) -> None:
    plan.base["tmp"] = Item(type="dir", mode=0o777)


@_sick(("FILE004", "opt/data"), says="links to ../../../etc/shadow, out of the image's root")
def link_out_of_the_root(plan: Plan) -> None:
    def fill(archive: tarfile.TarFile) -> None:
        entry = tarfile.TarInfo("opt/data")
        entry.type, entry.linkname = tarfile.SYMTYPE, "../../../etc/shadow"
        archive.addfile(entry)

    plan.foreign.append(tar_layer(fill))


@_sick(("FILE005", "app/data/labels.txt"), says="links to imagenet.txt, which is not in the image")
def link_to_nothing(plan: Plan) -> None:
    plan.data["app/data/labels.txt"] = link("imagenet.txt")


@_sick(("FILE005", "app/data/a"), ("FILE005", "app/data/b"), says="links to b")
def links_in_a_circle(plan: Plan) -> None:
    plan.data["app/data/a"] = link("b")
    plan.data["app/data/b"] = link("a")


@_sick(("FILE006", "app/model/model.pkl"), says="names /home/runner/work/model/model.py, a path of the build machine")
def build_path_in_the_pickle(plan: Plan) -> None:
    path = b"/home/runner/work/model/model.py"
    plan.model["app/model/model.pkl"] = Item(b"\x80\x05\x8c" + bytes([len(path)]) + path + b"\x94.")


@_sick(("FILE006", "app/model/model.pkl"), says="/bazel-out/k8-fastbuild/bin/model.py")
def sandbox_path_in_the_pickle(plan: Plan) -> None:
    path = b"/cache/sandbox/7/execroot/_main/bazel-out/k8-fastbuild/bin/model.py"
    plan.model["app/model/model.pkl"] = Item(b"\x80\x05\x8c" + bytes([len(path)]) + path + b"\x94.")


@_sick(("FILE006", "opt/venv/bin/deploy"), says="names /Users/kim/project/settings.ini")
def build_path_in_a_script(plan: Plan) -> None:
    script = b"#!/opt/venv/bin/python\nSETTINGS = '/Users/kim/project/settings.ini'\n"
    plan.wheels[1].files["pure-2.1.data/scripts/deploy"] = script


@_sick(("FILE006", f"{SITE}/pure-2.1.dist-info/direct_url.json"), says="installed from file:///srv/checkout")
def wheel_installed_from_a_directory(plan: Plan) -> None:
    plan.wheels[1].files["pure-2.1.dist-info/direct_url.json"] = b'{"url": "file:///srv/checkout", "dir_info": {}}'


@_sick(("FILE007", "dev/sda"), says="is a device or a pipe")
def device_in_a_layer(plan: Plan) -> None:
    def fill(archive: tarfile.TarFile) -> None:
        entry = tarfile.TarInfo("dev/sda")
        entry.type, entry.devmajor = tarfile.BLKTYPE, 8
        archive.addfile(entry)

    plan.foreign.append(tar_layer(fill))


@_sick(("FILE002", "usr/bin/ping"), says="has capabilities, which whoever runs it gets")
def program_with_capabilities(plan: Plan) -> None:
    def fill(archive: tarfile.TarFile) -> None:
        entry = tarfile.TarInfo("usr/bin/ping")
        entry.mode = 0o755
        entry.pax_headers = {"SCHILY.xattr.security.capability": "\x01\x02 cap_net_raw=ep"}
        archive.addfile(entry)

    plan.foreign.append(tar_layer(fill))


@_sick(("FILE008", "app/data/weights.bin"), says="is a pointer of Git LFS, not the file itself")
def pointer_in_place_of_the_weights(plan: Plan) -> None:
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a21\nsize 12345\n"
    plan.data["app/data/weights.bin"] = text(pointer)
