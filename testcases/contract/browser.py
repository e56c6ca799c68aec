# SPDX-License-Identifier: MIT
"""A headless Chromium, controlled through a pipe, for tests of HTML pages.

Ref: Chrome DevTools Protocol; --remote-debugging-pipe: the browser reads commands on descriptor 3 and answers
on 4, JSON messages that end with NUL.
"""

import base64
import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ANSWER_S = 60.0
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--hide-scrollbars",
    "--disable-background-networking",
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--remote-debugging-pipe",
)
"""No sandbox, which root cannot have. No network: no host name can be resolved."""
WRAPPER = 'exec 3<&"$1" 4>&"$2"; shift 2; exec "$@"'


def program() -> str | None:
    """Path of a Chromium of this machine."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


@contextlib.contextmanager
def browser() -> Iterator["Browser"]:
    """A browser with a temporary profile and no network; both are removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="browser-", ignore_cleanup_errors=True) as profile:
        commands, our_out = os.pipe()
        our_in, answers = os.pipe()
        shell_flags = [*FLAGS, f"--user-data-dir={profile}"]
        shell = ["bash", "-c", WRAPPER, "browser", str(commands), str(answers), str(program()), *shell_flags]
        process = subprocess.Popen(
            shell,
            pass_fds=(commands, answers),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(commands)
        os.close(answers)
        try:
            yield Browser(our_out, our_in)
        finally:
            os.close(our_out)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # its helpers as well
            process.wait()
            os.close(our_in)


class Browser:
    """One page in the browser."""

    def __init__(self, commands: int, answers: int) -> None:
        self._commands, self._answers, self._rest, self._number = commands, answers, b"", 0
        self._session: str | None = None
        self.loaded = 0
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.ask(f"{domain}.enable")
        self.complaints: list[str] = []

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command; its result. Fails with the browser's error."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next(method)
            if answer.get("id") == self._number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return answer["result"]

    def _next(self, what: str) -> dict[str, Any]:
        deadline = time.monotonic() + ANSWER_S
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._answers], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"the browser has not answered {what} within {ANSWER_S:g} s"
            data = os.read(self._answers, 1 << 20)
            assert data, f"the browser ended before it answered {what}"
            self._rest += data
        one, _, self._rest = self._rest.partition(b"\0")
        message = json.loads(one)
        self._notice(message)
        return message

    def _notice(self, message: dict[str, Any]) -> None:
        """Handle events: the page has loaded; an exception or a violation of its policy was logged."""
        method = message.get("method")
        self.loaded += method == "Page.loadEventFired"
        if method == "Log.entryAdded":
            self.complaints.append(message["params"]["entry"]["text"])
        if method == "Runtime.exceptionThrown":
            self.complaints.append(str(message["params"]["exceptionDetails"]))

    def open(self, page: Path, fragment: str = "") -> None:
        """Load a file and wait for its load event."""
        before = self.loaded
        self.ask("Page.navigate", url=page.resolve().as_uri() + fragment)
        while self.loaded == before:
            self._next("Page.navigate")

    def run(self, script: str) -> Any:
        """Value of a JavaScript expression, awaited if it is a promise."""
        found = self.ask("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def look(self, width: int, height: int = 900, *, dark: bool = False, media: str = "") -> None:
        """Set window size in pixels, colour scheme and medium ("print")."""
        self.ask(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.ask("Emulation.setEmulatedMedia", media=media, features=scheme)

    def pdf(self) -> bytes:
        """The page as a PDF on A4."""
        found = self.ask("Page.printToPDF", paperWidth=8.27, paperHeight=11.69, printBackground=False)
        return base64.b64decode(found["data"])
