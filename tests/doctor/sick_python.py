"""Images whose Python distributions do not fit each other, the Python or the platform."""

from __future__ import annotations

from tests.doctor.image_plan import SITE, Item, Plan, Wheel, link, text
from tests.doctor.sickness import Sickness, registrar

CASES: list[Sickness] = []
_sick = registrar(CASES)


@_sick(("PY001", f"{SITE}/pure-2.1.dist-info/METADATA"), says="requires pillow >=10, which is not installed")
def requirement_that_is_not_installed(plan: Plan) -> None:
    plan.wheels[1].metadata.append('Requires-Dist: pillow>=10; platform_machine == "aarch64"')


@_sick(("PY001", f"{SITE}/pure-2.1.dist-info/METADATA"), says="requires missing, which is not installed")
def requirement_of_an_extra_that_is_asked_for(plan: Plan) -> None:
    plan.wheels[0].metadata.append("Requires-Dist: pure[more]")


@_sick(("PY001", f"{SITE}/pure-2.1.dist-info/METADATA"), says="requires pillow, which is not installed")
def requirement_of_which_another_package_keeps_a_copy(plan: Plan) -> None:
    plan.wheels[1].metadata.append("Requires-Dist: pillow")
    plan.wheels[0].files["fast/_vendor/pillow-10.0.dist-info/METADATA"] = (
        b"Metadata-Version: 2.1\nName: pillow\nVersion: 10.0\n"
    )


@_sick(("PY002", f"{SITE}/pure-2.1.dist-info/METADATA"), says="requires fast <1, and 1.0 is installed")
def requirement_of_another_version(plan: Plan) -> None:
    plan.wheels[1].metadata[0] = "Requires-Dist: fast<1"


@_sick(("PY001", "opt/chassis/lib/python3.11/site-packages/served-1.dist-info/METADATA"), says="requires fast >=1.0")
def requirement_of_the_server_that_only_the_model_has(plan: Plan) -> None:
    place = "opt/chassis/lib/python3.11/site-packages"
    plan.environment["CHASSIS_SERVER_PATH"] = f"/{place}"
    plan.runtime[f"{place}/served-1.dist-info/METADATA"] = text(
        "Metadata-Version: 2.1\nName: served\nVersion: 1\nRequires-Dist: fast>=1.0\n"
    )


@_sick(("PY003", f"{SITE}/Fast-2.0.dist-info"), says="is fast 2.0")
def distribution_twice(plan: Plan) -> None:
    plan.wheels.append(Wheel("Fast", "2.0", "py3-none-any", {"fast2.py": b""}))


@_sick(("PY004", f"{SITE}/fast-1.0.dist-info/METADATA"), says="is for Python >=3.12, the image has 3.11.2")
def distribution_for_a_newer_python(plan: Plan) -> None:
    plan.wheels[0].metadata[0] = "Requires-Python: >=3.12"


@_sick(("PY005", "opt/venv/bin/deploy"), says="starts with the interpreter /bin/bash, which is not in the image")
def script_with_a_missing_interpreter(plan: Plan) -> None:
    plan.wheels[1].files["pure-2.1.data/scripts/deploy"] = b"#!/bin/bash\nexit 0\n"


@_sick(("PY005", "opt/venv/bin/deploy"), says="starts python2 through /usr/bin/env")
def script_with_an_interpreter_that_env_does_not_find(plan: Plan) -> None:
    plan.base["usr/bin/env"] = Item(plan.base["usr/bin/python3.11"].data, 0o755)
    plan.wheels[1].files["pure-2.1.data/scripts/deploy"] = b"#!/usr/bin/env python2\nexit(0)\n"


@_sick(("PY005", "opt/venv/bin/pure-tool"), ("IMG001", ""), says="/opt/venv/bin/python")
def environment_without_its_python(plan: Plan) -> None:
    del plan.runtime["opt/venv/bin/python"]


@_sick(
    ("IMG001", ""),
    ("FILE005", "opt/venv/bin/python"),
    ("PY005", "opt/venv/bin/pure-tool"),
    says="leads to /usr/bin/python3.12, which is not in the image; the image has Python 3.11, /usr/bin/python3.11",
)
def base_with_another_python_than_it_says(plan: Plan) -> None:
    plan.runtime["opt/venv/bin/python"] = link("/usr/bin/python3.12")


@_sick(("PY006", f"{SITE}/sources.pth"), says="adds /srv/checkout/src to the import path")
def editable_install(plan: Plan) -> None:
    plan.wheels[1].files["sources.pth"] = b"import sys\n/srv/checkout/src\n"


@_sick(
    ("PY007", f"{SITE}/fast-1.0.dist-info/WHEEL"), says="is built for manylinux_2_28_x86_64, the image is for aarch64"
)
def wheel_for_another_machine_without_modules(plan: Plan) -> None:
    plan.wheels[0].tag = "cp311-cp311-manylinux_2_28_x86_64"
    plan.wheels[0].files = {"fast/__init__.py": b""}


@_sick(("PY008", f"{SITE}/pure-2.1.dist-info/METADATA"), says="Requires-Dist: fast (>= 1")
def requirement_that_cannot_be_read(plan: Plan) -> None:
    plan.wheels[1].metadata[0] = "Requires-Dist: fast (>= 1"


@_sick(("IMG001", ""), says="starts /opt/server/run, which is not in the image")
def entry_point_that_is_not_there(plan: Plan) -> None:
    plan.entrypoint = ("/opt/server/run",)


@_sick(("IMG001", ""), says="starts /app/start.sh, which is not executable (mode 0644)")
def entry_point_that_is_not_executable(plan: Plan) -> None:
    plan.data["app/start.sh"] = Item(b"#!/bin/sh\n")
    plan.entrypoint = ("/app/start.sh",)


@_sick(("IMG001", ""), says="starts /opt/venv/bin, which is a directory")
def entry_point_that_is_a_directory(plan: Plan) -> None:
    plan.runtime["opt/venv/bin/extra"] = Item(b"")
    plan.entrypoint = ("/opt/venv/bin",)


@_sick(("PY004", f"{SITE}/fast-1.0.dist-info/WHEEL"), says="is built for cp310-cp310, the image has Python 3.11.2")
def wheel_for_another_python(plan: Plan) -> None:
    # Wheel layers refuse such a wheel: it comes with a base whose Python was another one.
    plan.wheels = plan.wheels[1:]
    information = f"{SITE}/fast-1.0.dist-info"
    plan.base[f"{information}/METADATA"] = Item(b"Metadata-Version: 2.1\nName: fast\nVersion: 1.0\n")
    plan.base[f"{information}/WHEEL"] = Item(b"Wheel-Version: 1.0\nTag: cp310-cp310-manylinux_2_28_aarch64\n")


_MODULE = "fast/_core.cpython-310-aarch64-linux-gnu.so"


@_sick(("PY009", f"{SITE}/{_MODULE}"), says="looks for _core.cpython-311-aarch64-linux-gnu.so")
def module_named_for_another_python(plan: Plan) -> None:
    plan.wheels[0].files[_MODULE] = plan.wheels[0].files.pop("fast/_core.so")


@_sick(
    ("PY009", "app/code/model/_resize.cpython-311-x86_64-linux-gnu.so"),
    says="is named for CPython 3.11 on x86_64-linux-gnu",
)
def module_built_for_the_target_and_named_for_the_build_machine(plan: Plan) -> None:
    plan.code["app/code/model/_resize.cpython-311-x86_64-linux-gnu.so"] = Item(plan.library())


@_sick(("PY010", "app/code/json.py"), says="hides Python's own module json")
def module_that_hides_one_of_python(plan: Plan) -> None:
    plan.code["app/code/json.py"] = Item(b"SCALE = 1\n")


@_sick(("PY010", "app/code/platform/__init__.py"), says="hides Python's own module platform")
def package_that_hides_one_of_python(plan: Plan) -> None:
    plan.code["app/code/platform/__init__.py"] = Item(b"")
