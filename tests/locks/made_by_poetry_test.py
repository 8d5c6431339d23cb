"""A lock that the real poetry exported, read as a hub reads it: against packaging.

`poetry export --without-urls` (poetry 2.5.1, poetry-plugin-export), with one hash of each release. The project asks for
`requests[socks]`; poetry does not write the extra down.
"""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest
from packaging.requirements import Requirement

from tests.locks.starlark_module import load

_READERS = Path(os.environ["LOCK_READERS"]).parent
_LOCK = load(_READERS / "wheel_lock.bzl").wheel_lock
_TARGET = load(_READERS / "lock_target.bzl")

_EXPORTED = """\
certifi==2026.10.19.post1 ; python_version >= "3.11" and python_version < "3.14" \\
    --hash=sha256:1324c476b4811eff41a8bc2122cd0bbd4d9c7234c725446d99ab1612b3a7fdd2
charset-normalizer==3.5.3 ; python_version >= "3.11" and python_version < "3.14" \\
    --hash=sha256:00edb7682962c596f774bfa126e6b6f885b7af2319f448d327591c284a482de8
colorama==0.4.6 ; python_version >= "3.11" and python_version < "3.14" and sys_platform == "win32" \\
    --hash=sha256:08695f5cb7ed6e0531a20572697297273c47b8cae5a63ffc6d6ed5c201be6e44
idna==3.20 ; python_version >= "3.11" and python_version < "3.14" \\
    --hash=sha256:a7db850025b95ded1eae8a46181a1a6c56c92c96f0e2b005d9ff8dc0210cab44
pysocks==1.7.1 ; python_version >= "3.11" and python_version < "3.14" \\
    --hash=sha256:08e69f092cc6dbe92a0fdd16eeb9b9ffbc13cadfe5ca4c7bd92ffb078b293299
requests==2.34.2 ; python_version >= "3.11" and python_version < "3.14" \\
    --hash=sha256:2a0d60c172f83ac6ab31e4554906c0f3b3588d37b5cb939b1c061f4907e278e0
typing-extensions==4.16.0 ; python_version >= "3.11" and python_version < "3.13" \\
    --hash=sha256:481caa481374e813c1b176ada14e97f1f67a4539ce9cfeb3f350d78d6370c2e8
tzdata==2026.6 ; python_version >= "3.11" and python_version < "3.14" and platform_machine == "aarch64" \\
    --hash=sha256:0a10eec6e13ef16b627fabed9a5f2ba61a62b1c67f327305f4e7e412a70b4aec
urllib3==2.8.0 ; python_version >= "3.11" and python_version < "3.14" \\
    --hash=sha256:0cf3cae568d36aa9576b28dfb35f11328f1cb974ca7647d9475ebb86c75ac6e3
"""


@pytest.mark.parametrize(
    ("platform", "further"),
    [
        ("linux_amd64_py311", {"typing-extensions"}),
        ("linux_arm64_py311", {"typing-extensions", "tzdata"}),
        ("linux_amd64", set()),
        ("linux_arm64_gpu", {"tzdata"}),
    ],
)
def test_each_platform_has_what_pip_would_install(platform: str, further: set[str]) -> None:
    name = "//:requirements.txt"
    read = _LOCK.read(SimpleNamespace(file=name, texts={name: _EXPORTED}))
    assert read.broken is None
    target = _TARGET.lock_target(platform)
    selected = _LOCK.select(read, target, [], [])
    assert selected.problems == {}
    environment = {key: value for key, value in target.environment().items() if isinstance(value, str)}
    wanted = {}
    for line in _EXPORTED.splitlines():
        if "==" in line:
            requirement = Requirement(line.removesuffix(" \\"))
            if requirement.marker is None or requirement.marker.evaluate(environment):
                wanted[requirement.name] = str(requirement.specifier).removeprefix("==")
    assert {pin.name: pin.version for pin in selected.pins.values()} == wanted
    assert set(wanted) - {"certifi", "charset-normalizer", "idna", "pysocks", "requests", "urllib3"} == further
    assert all(len(pin.hashes) == 1 for pin in selected.pins.values())
