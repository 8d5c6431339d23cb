"""Debian's chromium, headless, to test pages with.

It runs from the root that its pinned packages were unpacked to, with bubblewrap, which gives it that root's `/usr`
and `/etc`, a directory to work in, and a network namespace with nothing but loopback, or that of the test.
"""

from __future__ import annotations

import base64
import fcntl
import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.browser.devtools import DevtoolsPipe

_PROGRAM = "/usr/lib/chromium/chromium-headless-shell"
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
    "--user-data-dir=/work/profile",
)
_SECONDS = 60.0
_UNTIL = (
    "new Promise((done, fail) => {{ const end = Date.now() + 20000; const look = () => {{ const found = ({0});"
    " if (found) done(found); else if (Date.now() > end) fail(new Error('not within 20 s: ' + {1!r}));"
    " else setTimeout(look, 30); }}; look(); }})"
)
# Keys with what the protocol wants to know of them: key code and text.
_KEYS = {"Enter": (13, "\r"), "Tab": (9, ""), "Escape": (27, ""), "Home": (36, ""), "End": (35, "")} | {
    f"Arrow{name}": (37 + number, "") for number, name in enumerate(("Left", "Up", "Right", "Down"))
}


@dataclass(frozen=True, slots=True)
class BrowserFiles:
    """Where bubblewrap's program and the unpacked packages are."""

    bwrap: Path
    root: Path

    @classmethod
    def of_environment(cls) -> BrowserFiles:
        """By the variables BWRAP and BROWSER_ROOT."""
        return cls(Path(os.environ["BWRAP"]), Path(os.environ["BROWSER_ROOT"]).resolve())


class Page:
    """A page in a browser."""

    def __init__(self, devtools: DevtoolsPipe, session: str, work: Path) -> None:
        self._devtools = devtools
        self._session = session
        self.work = work

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """A command of the DevTools protocol."""
        return self._devtools.call(method, self._session, **parameters)

    def resize(self, width: int, height: int) -> None:
        """Sets the window's size in pixels."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def prefer(self, scheme: str) -> None:
        """Sets what the page is told that its reader prefers: `light` or `dark`."""
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def open(self, address: str) -> None:
        """Goes to an address and waits until it is loaded."""
        self.call("Page.navigate", url=address)
        self._devtools.wait("Page.loadEventFired")

    def open_text(self, html: str) -> None:
        """Opens a document as a file of the browser's."""
        (self.work / "page.html").write_text(html, "utf-8")
        self.open("file:///work/page.html")

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression, awaited if it is a promise."""
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, f"{expression}: {result['exceptionDetails']}"
        return result["result"].get("value")

    def until(self, condition: str) -> Any:
        """Waits until a JavaScript expression is truthy; returns it."""
        return self.evaluate(_UNTIL.format(condition, condition))

    def choose_file(self, selector: str, name: str, content: bytes) -> None:
        """Chooses a file of that name and content in the input that a CSS selector finds."""
        (self.work / name).write_bytes(content)
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.call("DOM.setFileInputFiles", files=[f"/work/{name}"], nodeId=node)

    def press(self, key: str) -> None:
        """Presses and lets go of a key, named as in the DOM."""
        code, text = _KEYS[key]
        common = {"key": key, "code": key, "windowsVirtualKeyCode": code}
        self.call("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", text=text, **common)
        self.call("Input.dispatchKeyEvent", type="keyUp", **common)

    def type(self, text: str) -> None:
        """Types text into what has the focus."""
        self.call("Input.insertText", text=text)

    def move(self, x: float, y: float) -> None:
        """Moves the pointer there, in pixels of the window."""
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def click(self, x: float, y: float) -> None:
        """Clicks there."""
        self.move(x, y)
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def screenshot(self) -> bytes:
        """The window as a PNG."""
        return base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])

    def events(self, method: str) -> list[dict[str, Any]]:
        """What events of that name said so far."""
        self.evaluate("0")  # Events of what came before have arrived when this is answered.
        return [event["params"] for event in self._devtools.events if event.get("method") == method]


@contextmanager
def browser_page(files: BrowserFiles, network: bool = False) -> Iterator[Page]:
    """A new page in a browser of its own, which is ended afterwards. `network` gives it the test's loopback."""
    with tempfile.TemporaryDirectory(dir=os.environ.get("TEST_TMPDIR"), prefix="browser-") as directory:
        work = Path(directory)
        to_browser, from_tester = os.pipe()
        from_browser, to_tester = os.pipe()
        inner = [fcntl.fcntl(end, fcntl.F_DUPFD, 16) for end in (to_browser, to_tester)]

        def place_pipes() -> None:
            for wanted, end in zip((3, 4), inner, strict=True):
                os.dup2(end, wanted)

        with (work / "log").open("wb") as log:
            process = subprocess.Popen(
                _command(files, work, network),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(3, 4),
                preexec_fn=place_pipes,
                start_new_session=True,
            )
        try:
            for end in (to_browser, to_tester, *inner):
                os.close(end)
            yield _attach(DevtoolsPipe(from_tester, from_browser, _SECONDS), work)
        except BaseException:
            print((work / "log").read_text(errors="replace")[-4000:])
            raise
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(_SECONDS)
            os.close(from_tester)
            os.close(from_browser)


def _attach(devtools: DevtoolsPipe, work: Path) -> Page:
    target = devtools.call("Target.createTarget", url="about:blank")["targetId"]
    session = devtools.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
    page = Page(devtools, session, work)
    for domain in ("Page", "Runtime", "Log", "Network"):
        page.call(f"{domain}.enable")
    return page


def _command(files: BrowserFiles, work: Path, network: bool) -> list[str]:
    root = str(files.root)
    options = ["--die-with-parent", "--unshare-pid", "--unshare-ipc", "--clearenv"]
    options += ["--setenv", "HOME", "/work", "--setenv", "LANG", "C.UTF-8"]
    for name in ("etc", "lib", "lib64", "usr"):
        options += ["--ro-bind", f"{root}/{name}", f"/{name}"]
    options += ["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--bind", str(work), "/work", "--chdir", "/work"]
    # Links in the root that were absolute in their packages name the place that they were unpacked to. Last, since that
    # place may lie below any of the others.
    options += ["--ro-bind", root, root]
    if not network:
        options.append("--unshare-net")
    return [str(files.bwrap), *options, "--", _PROGRAM, *_FLAGS]
