"""Tests of chassis.runtime.settings."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from chassis.declaration.model import ModelMetadata
from chassis.declaration.model_io import ModelInput
from chassis.declaration.model_json import read_served, write_model_json
from chassis.runtime import settings as settings_module
from chassis.runtime.settings import Settings, SettingsError, read_settings
from tests.support.running_server import RunningServer, write_model

METADATA = ModelMetadata(
    "digits",
    batch_size=16,
    inputs=(ModelInput("input", "application/json", "1K"), ModelInput("row", tensor="FP32[3,-1]")),
    run_timeout="30s",
    max_wait_ms=5,
)
DOCUMENT = json.loads(write_model_json(METADATA, "bytes", "3.11"))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (tmp_path / "model.json").write_text(json.dumps(DOCUMENT))
    return tmp_path


def read(model: Path, **environment: str) -> Settings:
    return read_settings({"CHASSIS_MODEL_DIR": str(model), **environment})


def test_the_image_settles_what_the_environment_does_not(model: Path) -> None:
    settings = read(model, PSC_MODEL_PORT="")
    assert (settings.name, settings.batch_size, settings.port, settings.host) == ("digits", 16, 45000, "[::]")
    assert (settings.run_timeout, settings.max_wait) == (30, 0.005)
    assert (settings.contract.inputs, settings.contract.outputs) == (METADATA.inputs, METADATA.outputs)
    assert settings.contract.inputs[0].max_bytes == 1024


def test_every_field_that_is_served_is_read(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Recorded(dict[str, object]):
        def __getitem__(self, key: str) -> object:
            asked.add(key)
            return super().__getitem__(key)

    asked: set[str] = set()
    monkeypatch.setattr(settings_module, "read_served", lambda document: Recorded(read_served(document)))
    read(model)
    assert {field.served for field in ModelMetadata.FIELDS if field.served} - asked == set(), "Settings lacks them"


def test_the_environment_is_over_the_image(model: Path) -> None:
    settings = read(
        model,
        PSC_MODEL_PORT="9000",
        MODEL_NAME="other",
        CHASSIS_RUN_TIMEOUT="2.5",
        CHASSIS_MAX_WAIT_MS="0",
        CHASSIS_WORKERS="3",
        CHASSIS_LOG_FORMAT="json",
    )
    assert (settings.port, settings.name, settings.run_timeout, settings.max_wait) == (9000, "other", 2.5, 0)
    assert (settings.log_format, settings.workers) == ("json", 3)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PSC_MODEL_PORT", "http"),
        ("PSC_MODEL_PORT", "65536"),
        ("PSC_MODEL_PORT", "-1"),
        ("CHASSIS_QUEUE_SIZE", "0"),
        ("CHASSIS_WORKERS", "-1"),
        ("CHASSIS_WORKERS", "257"),
        ("CHASSIS_RUN_TIMEOUT", "0"),
        ("CHASSIS_LOAD_TIMEOUT", "nan"),
        ("CHASSIS_DRAIN_TIMEOUT", "-1"),
        ("CHASSIS_LOG_FORMAT", "xml"),
        ("CHASSIS_LOG_LEVEL", "loud"),
        ("CHASSIS_SERVERS", "omi,soap"),
    ],
)
def test_a_variable_that_cannot_be_understood_is_named_with_its_value(model: Path, name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"{name}={value}"):
        read(model, **{name: value})


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("{", "is not JSON"),
        ("[]", "expected format 1"),
        (json.dumps({**DOCUMENT, "format": 2}), "expected format 1"),
        (json.dumps({**DOCUMENT, "signature": "tensor"}), "signature 'tensor' is not one of bytes, mapping"),
        (json.dumps({key: DOCUMENT[key] for key in DOCUMENT if key != "inputs"}), "inputs"),
        (json.dumps({**DOCUMENT, "outputs": []}), "at least one"),
    ],
)
def test_a_model_json_that_cannot_be_understood_is_named(tmp_path: Path, content: str, reason: str) -> None:
    (tmp_path / "model.json").write_text(content)
    with pytest.raises(SettingsError, match=reason) as caught:
        read(tmp_path)
    assert str(tmp_path / "model.json") in str(caught.value)


def test_limits_follow_from_memory_where_they_are_not_set(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chassis.runtime.settings.memory_limit", lambda: 100 << 20)
    limits = read(model).limits
    assert (limits.inflight_bytes, limits.request_bytes, limits.memory) == (50 << 20, 20 << 20, 100 << 20)
    assert (limits.message_bytes, limits.settled) == ((50 << 20) // 8, False)
    limits = read(model, CHASSIS_MAX_INFLIGHT_BYTES="1000000", CHASSIS_MAX_REQUEST_BYTES="5000").limits
    assert (limits.inflight_bytes, limits.request_bytes, limits.settled) == (1000000, 5000, True)


def test_a_larger_body_by_hand_has_room(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chassis.runtime.settings.memory_limit", lambda: None)
    assert read(model, CHASSIS_MAX_REQUEST_BYTES="1000000000").limits.inflight_bytes == 2_500_000_000


def test_hosts(model: Path) -> None:
    assert read(model).limits.hosts == ()
    assert read(model, CHASSIS_HOSTS="Models.example, localhost").limits.hosts == ("models.example", "localhost")
    for wrong in ("a:80", "https://a", "a b", "*"):
        with pytest.raises(SettingsError, match="is not a host's name"):
            read(model, CHASSIS_HOSTS=wrong)


def test_origins(model: Path) -> None:
    assert read(model).cors_origins == ()
    found = read(model, CHASSIS_CORS_ORIGINS="https://a.example/, http://localhost:3000,*").cors_origins
    assert found == ("https://a.example", "http://localhost:3000", "*")
    for wrong in ("a.example", "https://a.example/path", "https://a b"):
        with pytest.raises(SettingsError, match="is not an origin"):
            read(model, CHASSIS_CORS_ORIGINS=wrong)


def test_a_variable_that_nothing_reads_is_told_with_the_nearest(tmp_path: Path) -> None:
    model = write_model(tmp_path, bytes)
    of_a_service = {
        "CHASSIS_SERVICE_HOST": "10.0.0.7",
        "CHASSIS_SERVICE_PORT_HTTP": "8080",
        "CHASSIS_PORT": "tcp://10.0.0.7:8080",
        "CHASSIS_PORT_8080_TCP_ADDR": "10.0.0.7",
    }
    given = {"CHASSIS_WORKER": "4", "CHASSIS_XYZ": "1", "CHASSIS_ACCELERATOR": "cuda", **of_a_service}
    found = read_settings({"CHASSIS_MODEL_DIR": str(model), **given}).unknown
    assert found == (("CHASSIS_WORKER", "CHASSIS_WORKERS"), ("CHASSIS_XYZ", ""))


def test_the_log_warns_of_it(tmp_path: Path) -> None:
    with RunningServer(write_model(tmp_path, bytes), {"CHASSIS_DRAIN_TIMOUT": "3"}) as server:
        told = server.wait_event("nothing reads this variable of the environment")
    assert (told["variable"], told["nearest"]) == ("CHASSIS_DRAIN_TIMOUT", "CHASSIS_DRAIN_TIMEOUT")


def test_each_setting_is_in_the_docstring() -> None:
    described = set(re.findall(r"^ +(\w+):", str(Settings.__doc__), re.MULTILINE))
    assert set(Settings.__annotations__) - described == set()
