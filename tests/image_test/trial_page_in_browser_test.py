"""The page to try a model on, in a real browser, before a real server."""

from __future__ import annotations

import json
import os
import re
import shlex
import struct
import zlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from chassis.declaration.columns import Column
from chassis.declaration.model_io import ModelInput, ModelOutput
from chassis.image_test.trial_page import Trial, trial_page
from chassis.image_test.trial_server import trial_server
from tests.support.browser.browser import BrowserFiles, Page, browser_page
from tests.support.http_client import call
from tests.support.running_server import RunningServer, write_model

HOSTILE = '</script><img src=x onerror="document.title=1">{{script}}'
ANSWER = "JSON.parse(document.getElementById('answer').textContent)"
STATUS = "document.getElementById('status').textContent"

PARTS = (
    ModelInput("picture", "image/png"),
    ModelInput("note", "text/plain"),
    ModelInput("options", "application/json"),
    ModelInput("weights", tensor="FP32[2,-1]"),
    ModelInput("blob"),
)
COLUMNS = (Column("amount", "FP64"), Column("n", "INT64"), Column("city", "TEXT?"), Column("express", "BOOL"))


def look(item: Mapping[str, bytes]) -> dict[str, object]:
    """What came, and the picture again."""
    seen = {
        "picture": len(item["picture"]),
        "note": item["note"].decode(),
        "options": json.loads(item["options"]),
        "weights": struct.unpack(f"<{len(item['weights']) // 4}f", item["weights"]),
        "blob": list(item["blob"]),
    }
    return {"seen": json.dumps(seen).encode(), "picture": item["picture"]}


def row(content: bytes) -> object:
    """The row as it came, numbers as they were written."""
    return {"row": content.decode()}


def png() -> bytes:
    """A red square of 16 pixels (PNG specification)."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    pixels = zlib.compress(b"".join(b"\0" + b"\xff\0\0" * 16 for _ in range(16)))
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 16, 16, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with browser_page(BrowserFiles.of_environment(), network=True) as page:
        page.resize(1300, 900)
        yield page


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, RunningServer]]:
    """A server of a model of many kinds of inputs, and one of a model of a row."""
    many = {
        "signature": "mapping",
        "inputs": [part(one) for one in PARTS],
        "outputs": [part(ModelOutput("seen", "application/json")), part(ModelOutput("picture", "image/png"))],
    }
    with ExitStack() as stack:
        found = {}
        for name, function, settings in (("many", look, many), ("row", row, {})):
            model = write_model(tmp_path_factory.mktemp(name), function, name=name, **settings)
            found[name] = stack.enter_context(RunningServer(model))
            found[name].wait_health("SERVING")
        yield found


def part(one: ModelInput | ModelOutput) -> dict[str, object]:
    """As model.json has it."""
    described = {"name": one.name, "media_type": one.media_type, "max_size": "", "max_bytes": None}
    return {**described, "datatype": one.datatype, "shape": list(one.shape)} if one.tensor else described


@contextmanager
def tried(server: RunningServer, name: str, protocol: str = "v1-http") -> Iterator[str]:
    """The URL of the page of a model."""
    trial = Trial(
        name,
        "1.0",
        "mapping" if name == "many" else "bytes",
        PARTS if name == "many" else (ModelInput("input", "application/json"),),
        (ModelOutput("seen", "application/json"), ModelOutput("picture", "image/png")),
        COLUMNS if name == "row" else (),
        protocol,
        f"http://127.0.0.1:{server.http_port}",
    )
    with trial_server(trial_page(trial), trial.path, ("127.0.0.1", 0), server.http_port) as url:
        yield url


def fill(page: Page, label: str, value: str) -> None:
    """Writes into the field of that name, as a person would."""
    page.evaluate(f"{field(label)}.select()")
    page.type(value)


def field(label: str) -> str:
    return (
        "document.getElementById([...document.querySelectorAll('#fields label')]"
        f".find((label) => label.firstChild.textContent === {json.dumps(label)}).htmlFor)"
    )


def send(page: Page) -> None:
    page.evaluate("delete document.documentElement.dataset.answered, document.getElementById('send').click()")
    page.until("document.documentElement.dataset.answered")


@pytest.mark.parametrize("protocol", ["v1-http", "v2-http"])
def test_every_kind_of_field_reaches_the_model(page: Page, servers: Mapping[str, RunningServer], protocol: str) -> None:
    with tried(servers["many"], "many", protocol) as url:
        page.open(url)
        page.choose_file("#field-0", "red.png", png())
        page.choose_file("#field-4", "blob", bytes(range(256)))
        fill(page, "note", "grüezi 'quoted' \"twice\"")
        fill(page, "options", '{"deep": [1, {"x": null}]}')
        fill(page, "weights", "[[1, 2.5, 3], [4, 5, -6e1]]")
        send(page)
        assert page.evaluate(STATUS).startswith("200 OK")
        answer = page.evaluate(ANSWER)
        if protocol == "v1-http":
            seen = answer["predictions"][0]["seen"]
            assert page.evaluate("document.querySelector('#pictures img').naturalWidth") == 16
        else:
            seen = json.loads(answer["outputs"][0]["data"][0])
        assert seen == {
            "picture": len(png()),
            "note": "grüezi 'quoted' \"twice\"",
            "options": {"deep": [1, {"x": None}]},
            "weights": [1, 2.5, 3, 4, 5, -60],
            "blob": list(range(256)),
        }
        keep(f"many-{protocol}", page.screenshot())


def test_a_row_has_a_field_for_each_column_and_keeps_its_numbers(
    page: Page, servers: Mapping[str, RunningServer]
) -> None:
    with tried(servers["row"], "row") as url:
        page.open(url)
        fill(page, "amount", "1e-7")
        fill(page, "n", "9007199254740993")
        fill(page, "city", "")
        page.evaluate(f"{field('express')}.click()")
        send(page)
        row = json.loads(page.evaluate(ANSWER)["predictions"][0]["row"])
        assert row == {"amount": 1e-7, "n": 9007199254740993, "city": None, "express": False}
        fill(page, "city", "Bern")
        line = page.until("document.getElementById('curl').textContent.includes('Bern') && " + curl())
        assert json.loads(shlex.split(line)[-1])["instances"] == [
            {"amount": 1e-7, "n": 9007199254740993, "city": "Bern", "express": False}
        ]


def curl() -> str:
    return "document.getElementById('curl').textContent"


def test_what_cannot_be_sent_says_which_field_and_nothing_is_sent(
    page: Page, servers: Mapping[str, RunningServer]
) -> None:
    with tried(servers["row"], "row") as url:
        page.open(url)
        for value, said in (("", "amount: needs a value"), ("1,5", "amount: not a number: 1,5")):
            fill(page, "amount", value) if value else page.evaluate(f"{field('amount')}.value = ''")
            send(page)
            assert page.evaluate(STATUS) == said
        assert page.evaluate("document.getElementById('answer').textContent") == ""


def test_an_error_of_the_model_is_shown_and_times_are_of_answers(
    page: Page, servers: Mapping[str, RunningServer]
) -> None:
    with tried(servers["many"], "many") as url:
        page.open(url)
        send(page)
        assert page.evaluate(STATUS) == "picture: choose a file"
        page.choose_file("#field-0", "red.png", png())
        page.choose_file("#field-4", "blob", b"")
        fill(page, "weights", "[1]")
        send(page)
        assert page.evaluate(STATUS).startswith("400 ")
        assert "weights" in page.evaluate(ANSWER)["error"]
        assert page.evaluate("document.getElementById('times-taken').hidden")
        fill(page, "weights", "[[1], [2]]")
        page.evaluate("document.getElementById('times').value = '10'")
        send(page)
        assert page.evaluate("document.getElementById('count').textContent") == "10"
        assert re.fullmatch(r"[\d.]+ ms", page.evaluate("document.getElementById('median').textContent"))


def test_the_api_is_described(page: Page, servers: Mapping[str, RunningServer]) -> None:
    with tried(servers["many"], "many") as url:
        page.open(url)
        page.until("document.documentElement.dataset.described")
        shown = page.evaluate("[...document.querySelectorAll('#operations summary')].map((one) => one.textContent)")
        assert "POST /v1/models/many:predict Prediction" in shown
        text = page.evaluate(
            "[...document.querySelectorAll('#operations details')]"
            ".find((one) => one.textContent.includes(':predict')).textContent"
        )
        assert "instances" in text
        assert "422" in text


def test_names_are_text_and_nothing_is_loaded_from_elsewhere(page: Page, servers: Mapping[str, RunningServer]) -> None:
    port = servers["row"].http_port
    inputs = (ModelInput(HOSTILE, "text/plain"),)
    outputs = (ModelOutput(HOSTILE, "image/png"),)
    trial = Trial(HOSTILE, HOSTILE, "bytes", inputs, outputs, (), "v1-http", f"http://127.0.0.1:{port}")
    before = len(page.events("Network.requestWillBeSent"))
    failed = len(page.events("Runtime.exceptionThrown"))
    with trial_server(trial_page(trial), "/v1/models/row:predict", ("127.0.0.1", 0), port) as url:
        page.open(url)
        page.until("document.documentElement.dataset.described")
        assert page.evaluate("document.title") == HOSTILE
        assert page.evaluate("document.querySelectorAll('img').length") == 0
        asked = {event["request"]["url"] for event in page.events("Network.requestWillBeSent")[before:]}
        assert asked == {url, f"{url}openapi.json"}
        assert page.events("Runtime.exceptionThrown")[failed:] == []
        # What a model answers could do no harm if it got into the page.
        refused = f"fetch('http://127.0.0.1:{port}/v2').then(() => 'asked', () => 'refused')"
        assert page.evaluate(refused) == "refused"
        page.evaluate(
            "{ const one = document.createElement('script'); one.textContent = 'document.title = 1';"
            " document.body.append(one); }"
        )
        assert page.evaluate("document.title") == HOSTILE


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_narrow_window_does_not_scroll_sideways(
    page: Page, servers: Mapping[str, RunningServer], scheme: str
) -> None:
    page.prefer(scheme)
    page.resize(380, 800)
    try:
        with tried(servers["many"], "many") as url:
            page.open(url)
            page.until("document.documentElement.dataset.described")
            assert page.evaluate("document.documentElement.scrollWidth") <= 380
            keep(f"narrow-{scheme}", page.screenshot())
    finally:
        page.resize(1300, 900)
        page.prefer("light")


def keep(name: str, picture: bytes) -> None:
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    if outputs := os.environ.get("TEST_UNDECLARED_OUTPUTS_DIR"):
        (Path(outputs) / f"{name}.png").write_bytes(picture)


def test_pages_of_other_hosts_get_nothing(servers: Mapping[str, RunningServer]) -> None:
    body = {"instances": [{}]}
    with tried(servers["row"], "row") as url:
        port = int(url.split(":")[2].strip("/"))
        assert call(port, "GET", "/").status == 200
        path, kind = "/v1/models/row:predict", {"content-type": "application/json"}
        assert call(port, "POST", path, body, kind).status == 200
        assert call(port, "GET", "/", headers={"host": "evil.example"}).status == 421
        assert call(port, "POST", path, body, kind | {"host": "evil.example"}).status == 421
        # What a form of another page can send without asking.
        assert call(port, "POST", path, body, {"content-type": "text/plain"}).status == 415
        assert call(port, "POST", "/v2/repository/index", body, kind).status == 404
        assert call(port, "GET", "/metrics").status == 404
