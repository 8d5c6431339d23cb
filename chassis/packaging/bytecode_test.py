"""Tests of chassis.packaging.bytecode and pickle_reader, on pickles that other Pythons made."""

from __future__ import annotations

import asyncio
import base64
import importlib.util
import itertools
import json
import pickle
import pkgutil
import sys
from collections.abc import Iterable
from pathlib import Path
from types import CodeType, ModuleType

import cloudpickle
import pytest
from cloudpickle.cloudpickle import _code_reduce

from chassis.declaration.model import ModelMetadata
from chassis.packaging.bytecode import _likely_version, check_version
from chassis.packaging.errors import CorruptPickleError, PickleVersionError
from chassis.packaging.packager import Model, package_model
from chassis.packaging.pickle_reader import PickledCode, pickled_code

RUNNING = f"{sys.version_info.major}.{sys.version_info.minor}"

FOREIGN: dict[str, str] = {
    "3.8": (
        "gAWVngEAAAAAAACMF2Nsb3VkcGlja2xlLmNsb3VkcGlja2xllIwOX21ha2VfZnVuY3Rpb26Uk5QoaACMDV9idWlsdGluX3R5"
        "cGWUk5SMCENvZGVUeXBllIWUUpQoSwFLAEsASwFLA0tDQwxkAXQAfACDAWkBUwCUTowBbpSGlIwDbGVulIWUjARkYXRhlIWU"
        "jAhtb2RlbC5weZSMB3Byb2Nlc3OUSwFDAgABlCkpdJRSlH2UjAhfX25hbWVfX5SMCF9fbWFpbl9flHNOTk50lFKUaACMEl9m"
        "dW5jdGlvbl9zZXRzdGF0ZZSTlGgYfZR9lChoFYwHcHJvY2Vzc5SMDF9fcXVhbG5hbWVfX5SMB3Byb2Nlc3OUjA9fX2Fubm90"
        "YXRpb25zX1+UfZSMDl9fa3dkZWZhdWx0c19flE6MDF9fZGVmYXVsdHNfX5ROjApfX21vZHVsZV9flGgWjAdfX2RvY19flE6M"
        "C19fY2xvc3VyZV9flE6MF19jbG91ZHBpY2tsZV9zdWJtb2R1bGVzlF2UjAtfX2dsb2JhbHNfX5R9lHWGlIZSMC4="
    ),
    "3.10": (
        "gAWVngEAAAAAAACMF2Nsb3VkcGlja2xlLmNsb3VkcGlja2xllIwOX21ha2VfZnVuY3Rpb26Uk5QoaACMDV9idWlsdGluX3R5"
        "cGWUk5SMCENvZGVUeXBllIWUUpQoSwFLAEsASwFLA0tDQwxkAXQAfACDAWkBUwCUTowBbpSGlIwDbGVulIWUjARkYXRhlIWU"
        "jAhtb2RlbC5weZSMB3Byb2Nlc3OUSwFDAgwBlCkpdJRSlH2UjAhfX25hbWVfX5SMCF9fbWFpbl9flHNOTk50lFKUaACMEl9m"
        "dW5jdGlvbl9zZXRzdGF0ZZSTlGgYfZR9lChoFYwHcHJvY2Vzc5SMDF9fcXVhbG5hbWVfX5SMB3Byb2Nlc3OUjA9fX2Fubm90"
        "YXRpb25zX1+UfZSMDl9fa3dkZWZhdWx0c19flE6MDF9fZGVmYXVsdHNfX5ROjApfX21vZHVsZV9flGgWjAdfX2RvY19flE6M"
        "C19fY2xvc3VyZV9flE6MF19jbG91ZHBpY2tsZV9zdWJtb2R1bGVzlF2UjAtfX2dsb2JhbHNfX5R9lHWGlIZSMC4="
    ),
    "3.12": (
        "gAWVygEAAAAAAACMF2Nsb3VkcGlja2xlLmNsb3VkcGlja2xllIwOX21ha2VfZnVuY3Rpb26Uk5QoaACMDV9idWlsdGluX3R5"
        "cGWUk5SMCENvZGVUeXBllIWUUpQoSwFLAEsASwFLBEsDQxyXAGQBdAEAAAAAAAAAAHwAqwEAAAAAAABpAVMAlE6MAW6UhpSM"
        "A2xlbpSFlIwEZGF0YZSFlIwIbW9kZWwucHmUjAdwcm9jZXNzlIwHcHJvY2Vzc5RLAUMRgADYDA+UE5BUkxnQCxvQBBuUQwCU"
        "KSl0lFKUfZSMCF9fbmFtZV9flIwIX19tYWluX1+Uc05OTnSUUpRoAIwSX2Z1bmN0aW9uX3NldHN0YXRllJOUaBp9lH2UKGgX"
        "jAdwcm9jZXNzlIwMX19xdWFsbmFtZV9flIwHcHJvY2Vzc5SMD19fYW5ub3RhdGlvbnNfX5R9lIwOX19rd2RlZmF1bHRzX1+U"
        "TowMX19kZWZhdWx0c19flE6MCl9fbW9kdWxlX1+UaBiMB19fZG9jX1+UTowLX19jbG9zdXJlX1+UTowXX2Nsb3VkcGlja2xl"
        "X3N1Ym1vZHVsZXOUXZSMC19fZ2xvYmFsc19flH2UdYaUhlIwLg=="
    ),
    "3.13": (
        "gAWVygEAAAAAAACMF2Nsb3VkcGlja2xlLmNsb3VkcGlja2xllIwOX21ha2VfZnVuY3Rpb26Uk5QoaACMDV9idWlsdGluX3R5"
        "cGWUk5SMCENvZGVUeXBllIWUUpQoSwFLAEsASwFLBEsDQxyVAFMBWwEAAAAAAAAAAFUANQEAAAAAAAAwASQAlE6MAW6UhpSM"
        "A2xlbpSFlIwEZGF0YZSFlIwIbW9kZWwucHmUjAdwcm9jZXNzlIwHcHJvY2Vzc5RLAUMRgADYDA+UE5BUkxnQCxvQBBuUQwCU"
        "KSl0lFKUfZSMCF9fbmFtZV9flIwIX19tYWluX1+Uc05OTnSUUpRoAIwSX2Z1bmN0aW9uX3NldHN0YXRllJOUaBp9lH2UKGgX"
        "jAdwcm9jZXNzlIwMX19xdWFsbmFtZV9flIwHcHJvY2Vzc5SMD19fYW5ub3RhdGlvbnNfX5R9lIwOX19rd2RlZmF1bHRzX1+U"
        "TowMX19kZWZhdWx0c19flE6MCl9fbW9kdWxlX1+UaBiMB19fZG9jX1+UTowLX19jbG9zdXJlX1+UTowXX2Nsb3VkcGlja2xl"
        "X3N1Ym1vZHVsZXOUXZSMC19fZ2xvYmFsc19flH2UdYaUhlIwLg=="
    ),
}
"""`def process(data): return {"n": len(data)}`, pickled with cloudpickle 3.1 by these Pythons."""

MADE_BY = {"3.8": "3.8 to 3.10", "3.10": "3.8 to 3.10", "3.12": "3.12", "3.13": "3.13"}


@pytest.mark.skipif(RUNNING != "3.11", reason="the pickles are foreign to 3.11 alone")
@pytest.mark.parametrize("version", FOREIGN)
def test_a_pickle_of_another_python_is_refused_with_both_versions(tmp_path: Path, version: str) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(base64.b64decode(FOREIGN[version]))
    with pytest.raises(PickleVersionError) as caught:
        package_model(Model(ModelMetadata(name="m"), None, path, "", {}, {}, []))
    assert f"model.pkl was made by Python {MADE_BY[version]}, the image has Python {RUNNING}" in str(caught.value)


@pytest.mark.parametrize(
    ("code", "running", "expected"),
    [
        # def process(data): return {"n": len(data)}
        ("970064017401000000000000000000007c00a6010000ab01000000000000000069015300", "3.13", "3.11"),
        ("97006401740100000000000000007c00ab0100000000000069015300", "3.13", "3.11 or 3.12"),
        ("97006401740100000000000000007c00ab0100000000000069015300", "3.11", "3.12"),
        ("950053015b0100000000000000005500350100000000000030012400", "3.14", "3.13"),
        # def inner(): return x + 1
        ("95019700890064017a0000005300", "3.13", "3.11 or 3.12"),
        ("3e019500540053012d0000002400", "3.11", "3.13"),
        # def none(): pass
        ("97007900", "3.13", "3.12"),
        ("80005300", "3.13", "3.14"),
        ("09000900", "3.13", "another version"),
    ],
)
def test_which_python_made_a_pickle_is_told_by_its_instructions(code: str, running: str, expected: str) -> None:
    assert _likely_version(bytes.fromhex(code), running) == expected


def sample(data: bytes, *, scale: int = 2) -> dict[str, object]:
    """Uses loops, comprehensions, closures, exceptions and generators."""
    total = 0

    def add(amount: int) -> int:
        nonlocal total
        total += amount * scale
        return total

    try:
        for byte in data:
            while byte > 100:
                byte -= 100
            add(byte)
    except (TypeError, ValueError) as error:
        raise RuntimeError(f"{error!r}") from error
    finally:
        total += 1
    return {"total": total, "parts": [part for part in data if part in (1, 2, 3)], "lazy": list(part for part in data)}


def test_a_pickle_of_this_python_passes() -> None:
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    codes = pickled_code(cloudpickle.dumps(sample), "model.pkl")
    assert len(codes) == 4
    check_version(codes, "model.pkl")


def test_every_function_of_the_standard_library_passes() -> None:
    packages = [f"{package.__name__}.{found.name}" for package in (json, asyncio) for found in _modules(package)]
    for name in ["json", "asyncio", *packages, "typing", "tarfile"]:
        # Of the library's archive there is bytecode alone.
        spec = importlib.util.find_spec(name)
        code = spec.loader.get_code(name) if spec else None
        assert code, name
        check_version([PickledCode(_code_reduce(inner)[1]) for inner in _nested(code)], name)


def _modules(package: ModuleType) -> Iterable[pkgutil.ModuleInfo]:
    return (found for found in pkgutil.iter_modules(package.__path__) if "windows" not in found.name)


def test_changed_bytecode_is_refused() -> None:
    arguments = list(_code_reduce(sample.__code__)[1])
    refused = 0
    for at in range(0, len(arguments[6]), 2):
        changed = bytearray(arguments[6])
        changed[at] = 255
        with pytest.raises(PickleVersionError):
            check_version([PickledCode((*arguments[:6], bytes(changed), *arguments[7:]))], "model.pkl")
        refused += 1
    assert refused > 50


def test_nothing_of_a_pickle_runs_when_it_is_read(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    hostile = b"\x80\x04\x8c\x02os\x8c\x05mkdir\x93\x8c" + bytes([len(str(mark))]) + str(mark).encode() + b"\x85R."
    assert pickled_code(hostile, "model.pkl") == []
    assert not mark.exists()
    pickle.loads(hostile)
    assert mark.exists()


def test_a_pickle_that_is_cut_short_or_is_none_is_corrupt() -> None:
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    whole = cloudpickle.dumps(sample)
    for length in itertools.chain(range(0, 40), range(40, len(whole), 37)):
        with pytest.raises(CorruptPickleError, match=r"model\.pkl is not"):
            pickled_code(whole[:length], "model.pkl")
    for content in (b"PK\x03\x04 a zip", b"\x80\xff", b"not a pickle"):
        with pytest.raises(CorruptPickleError):
            pickled_code(content, "model.pkl")


def _nested(code: CodeType) -> list[CodeType]:
    inner = [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    return [code, *(each for part in inner for each in _nested(part))]
