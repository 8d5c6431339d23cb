"""Webhooks: sent, tried again, given up; against a server of loopback."""

import http.server
import json
import socket
import threading

import pytest

from chassis.service.addresses import AddressPolicy
from chassis.service.webhook import Webhooks

LOOPBACK = AddressPolicy.of_list("--webhook_hosts", ["127.0.0.1"])


@pytest.fixture
def receiver():
    """A server whose statuses are taken from the front of `statuses`; `got` is what it received."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            server.got.append((self.path, self.headers["content-type"], json.loads(body)))
            self.send_response(server.statuses.pop(0))
            self.send_header("location", "/elsewhere")
            self.send_header("content-length", "0")
            self.end_headers()
            server.answered.release()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.got, server.statuses, server.answered = [], [], threading.Semaphore(0)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join(10)
    server.server_close()


def _url(server):
    return f"http://127.0.0.1:{server.server_port}/hook"


def test_a_final_status_is_sent_as_json(receiver):
    receiver.statuses = [204]
    sent = threading.Event()
    webhooks = Webhooks(LOOPBACK)
    webhooks.call(_url(receiver), {"job_id": "a"}, sent.set)
    assert sent.wait(10)
    assert receiver.got == [("/hook", "application/json", {"job_id": "a"})]
    webhooks.close()


def test_a_receiver_that_fails_is_asked_again(receiver):
    receiver.statuses = [500, 503, 200]
    sent = threading.Event()
    webhooks = Webhooks(LOOPBACK, pauses=(0.01, 0.01, 0.01))
    webhooks.call(_url(receiver), {}, sent.set)
    assert sent.wait(10)
    assert len(receiver.got) == 3
    webhooks.close()


def test_after_the_last_try_it_is_given_up_and_redirects_are_not_followed(receiver):
    receiver.statuses = [302, 404, 200]
    sent, second = threading.Event(), threading.Event()
    webhooks = Webhooks(LOOPBACK, pauses=(0.01,))
    webhooks.call(_url(receiver), {"number": 1}, sent.set)
    for _ in range(2):
        assert receiver.answered.acquire(timeout=10)
    webhooks.call(_url(receiver), {"number": 2}, second.set)
    assert second.wait(10)
    assert not sent.is_set()
    assert [path for path, _, _ in receiver.got] == ["/hook"] * 3
    webhooks.close()


def test_a_receiver_that_is_not_there_does_no_harm():
    webhooks = Webhooks(LOOPBACK, pauses=())
    webhooks.call("http://127.0.0.1:9/", {}, lambda: pytest.fail("nobody answered"))
    webhooks.close()


def test_a_name_is_resolved_once_and_the_connection_goes_there(receiver, monkeypatch):
    """The name's server says something else when it is asked again."""
    receiver.statuses = [204]
    lookups, actual = [], socket.getaddrinfo

    def resolve(host, port, *arguments, **options):
        if host != "rebind.example":
            return actual(host, port, *arguments, **options)
        lookups.append(host)
        return actual("127.0.0.1" if len(lookups) == 1 else "127.0.0.2", port, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    sent = threading.Event()
    webhooks = Webhooks(AddressPolicy.of_list("--webhook_hosts", ["rebind.example"]), pauses=())
    webhooks.call(f"http://rebind.example:{receiver.server_port}/hook", {}, sent.set)
    assert sent.wait(10)
    assert lookups == ["rebind.example"]
    webhooks.close()
