"""What is taken for a path of the build machine."""

from __future__ import annotations

import pytest

from chassis.doctor.build_paths import build_paths_in

CASES = {
    b"open('/home/me/model/x.bin')": ("/home/me/model/x.bin",),
    b"/Users/kim/x.py:3 /builds/team/x.py": ("/Users/kim/x.py", "/builds/team/x.py"),
    b"/mnt/cache/execroot/_main/bazel-out/k8/bin/m.py": ("/mnt/cache/execroot/_main/bazel-out/k8/bin/m.py",),
    b"/root/.cache/torch/x": ("/root/.cache/torch/x",),
    b"/home/me/a /home/me/a": ("/home/me/a",),
    b"/home/": (),
    b"/home/me": ("/home/me",),
    b"https://example.org/home/page": (),
    b"a/home/me/x": (),
    b"~/root/x/y": (),
    b"/tmp/cache/x": (),
    b"/opt/venv/bin/python": (),
    b"bazel-out/k8/bin/m.py": (),
    b"/home/a/1 /home/a/2 /home/a/3 /home/a/4": ("/home/a/1", "/home/a/2", "/home/a/3"),
}


@pytest.mark.parametrize("content", CASES)
def test_paths(content: bytes) -> None:
    assert build_paths_in(content) == CASES[content]
