"""The status page in a real browser: jobs, states, logs, sizes, and a token."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from chassis.sdk.client import ChassisClient
from tests.service.service_process import ServiceProcess
from tests.support.browser.browser import BrowserFiles, Page, browser_page

_LOG = "document.getElementById('log').textContent"
_SECONDS = 30


def process(content: bytes) -> int:
    """The length."""
    return len(content)


@pytest.fixture
def page() -> Iterator[Page]:
    with browser_page(BrowserFiles.of_environment(), network=True) as page:
        page.resize(1300, 800)
        yield page


@pytest.fixture
def service(tmp_path: Path) -> Iterator[ServiceProcess]:
    with ServiceProcess(tmp_path / "state") as running:
        yield running


def _publish(client: ChassisClient, name: str, **options: object) -> str:
    return str(client.create_model(process_fn=process).publish(name, "0.0.1", **options)["job_id"])


def _states(page: Page) -> list[str]:
    return page.evaluate("[...document.querySelectorAll('#jobs .state')].map((state) => state.textContent)")


def _open(page: Page, job_id: str) -> None:
    page.until(f"document.querySelector('tr[data-job=\"{job_id}\"] button')")
    page.evaluate(f"document.querySelector('tr[data-job=\"{job_id}\"] button').click()")


def _keep(name: str, png: bytes) -> None:
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    assert len(png) > 10_000
    if outputs := os.environ.get("TEST_UNDECLARED_OUTPUTS_DIR"):
        (Path(outputs) / f"{name}.png").write_bytes(png)


def test_an_empty_service_says_what_to_do(page: Page, service: ServiceProcess) -> None:
    page.open(service.url)
    page.until("document.documentElement.dataset.ready")
    assert "chassis_model.publish" in page.evaluate("document.body.innerText")
    assert page.evaluate("document.getElementById('jobs').hidden")


def test_jobs_their_states_logs_and_sizes_are_shown(page: Page, service: ServiceProcess) -> None:
    client = ChassisClient(service.url)
    done = _publish(client, "Cats", arm64=True)
    failed = _publish(client, "bad cats", platforms=["arm64", "amd64_gpu"])
    client.block_until_complete(done, timeout=_SECONDS, poll_interval=0.05)
    client.block_until_complete(failed, timeout=_SECONDS, poll_interval=0.05)
    running = _publish(client, "slow cats")
    next(client.follow_job_logs(running))
    _publish(client, "more cats")

    page.open(service.url)
    page.until("document.querySelectorAll('#jobs tbody tr').length === 4")
    assert _states(page) == ["queued", "running", "failed", "succeeded"]
    assert page.evaluate("document.getElementById('summary').textContent") == "1 running, 1 queued, 1 failed"
    page.until("/images\\s+[\\d.]+ kB/.test(document.getElementById('usage').innerText)")
    used = page.evaluate("document.getElementById('usage').innerText")
    assert "Client default" in used
    assert re.search(r"queued\s+1\s+\d", used), used
    assert re.search(r"images\s+[\d.]+ kB\s+107.4 GB", used), used
    row = page.evaluate(f"document.querySelector('tr[data-job=\"{done}\"]').innerText")
    assert "arm64" in row
    assert "kB" in row
    assert "arm64, amd64_gpu" in page.evaluate(f"document.querySelector('tr[data-job=\"{failed}\"]').innerText")

    _open(page, failed)
    page.until(f"{_LOG}.includes('no wheel of annoy')")
    assert "name it in cross_build" in page.evaluate("document.getElementById('message').textContent")
    for scheme in ("light", "dark"):
        page.prefer(scheme)
        _keep(f"builds-{scheme}", page.screenshot())

    _open(page, running)
    page.until(f"{_LOG}.includes('building slow-cats')")
    service.open_gate()
    page.until("document.querySelectorAll('#jobs .succeeded').length === 3")
    assert page.evaluate("document.getElementById('cancel').hidden")
    assert "sha256:" in page.evaluate("document.getElementById('facts').innerText")
    assert page.events("Runtime.exceptionThrown") == []


def test_a_job_is_cancelled(page: Page, service: ServiceProcess) -> None:
    client = ChassisClient(service.url)
    running = _publish(client, "slow cats")
    next(client.follow_job_logs(running))
    page.open(service.url)
    _open(page, running)
    page.evaluate("document.getElementById('cancel').click()")
    page.until("document.querySelector('#jobs .cancelled')")
    assert client.get_job_status(running)["status"]["state"] == "cancelled"


def test_a_token_is_asked_for(page: Page, tmp_path: Path) -> None:
    with ServiceProcess(tmp_path / "guarded", token="a-long-token") as service:
        _publish(ChassisClient(service.url, auth_header="Bearer a-long-token"), "Cats")
        page.open(service.url)
        page.until("!document.getElementById('login').hidden")
        page.type("wrong")
        page.press("Enter")
        page.until("!document.getElementById('refused').hidden")
        assert "cats" not in page.evaluate("document.body.innerText")
        page.evaluate("document.getElementById('token').value = ''")
        page.evaluate("document.getElementById('token').focus()")
        page.type("a-long-token")
        page.press("Enter")
        page.until("document.querySelector('#jobs .succeeded')")


def test_names_are_text_and_nothing_is_loaded_from_elsewhere(page: Page, service: ServiceProcess) -> None:
    client = ChassisClient(service.url)
    model = client.create_model(process_fn=process)
    model.describe(summary="</script><img src=x onerror=document.title=1>")
    job_id = str(model.publish("Cats", "0.0.1")["job_id"])
    client.block_until_complete(job_id, timeout=_SECONDS, poll_interval=0.05)
    (service.state / "logs" / f"{job_id}.log").write_text("<img src=x onerror=\"document.title='hacked'\">\n")
    page.open(service.url)
    _open(page, job_id)
    page.until(f"{_LOG}.includes('onerror')")
    assert page.evaluate("document.title") == "Chassis builds"
    assert page.evaluate("document.querySelectorAll('img').length") == 0
    requested = {event["request"]["url"] for event in page.events("Network.requestWillBeSent")}
    assert all(address.startswith((service.url, "about:")) for address in requested)


def test_a_narrow_window_does_not_scroll_sideways(page: Page, service: ServiceProcess) -> None:
    _publish(ChassisClient(service.url), "A model with a name that is rather long, as names of models are")
    page.resize(380, 800)
    page.open(service.url)
    page.until("document.querySelector('#jobs tbody tr')")
    assert page.evaluate("document.documentElement.scrollWidth") <= 380
    _keep("narrow", page.screenshot())
