"""A real headless Chromium, driven over its DevTools protocol through two pipes: no driver, no port, no package."""

import fcntl
import itertools
import json
import os
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
WAIT = 30.0  # seconds for an answer
# A browser with --remote-debugging-pipe reads from file descriptor 3 and writes to 4.
LAUNCHER = (
    "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); os.execv(sys.argv[3], sys.argv[3:])"
)


def find_chromium() -> str | None:
    """The browser's path; None where there is none."""
    return next((path for path in map(shutil.which, NAMES) if path), None)


class Chromium:
    """One browser with one open page. Everything that the page says on its console or asks of a network is kept."""

    _session = ""

    def __init__(self, path: str, profile: Path) -> None:
        self.events: list[dict[str, Any]] = []
        self._numbers = itertools.count(1)
        self._rest = b""
        (asked, self._questions) = os.pipe()
        (self._answers, answered) = os.pipe()
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--remote-debugging-pipe"]
        options += [
            "--disable-background-networking",
            "--no-first-run",
            "--hide-scrollbars",
            f"--user-data-dir={profile}",
        ]
        ends = [
            fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (asked, answered)
        ]  # none of the numbers they are moved to
        command = [sys.executable, "-I", "-S", "-c", LAUNCHER, *map(str, ends), path, *options]
        nowhere = subprocess.DEVNULL
        self._process = subprocess.Popen(command, pass_fds=ends, stdin=nowhere, stdout=nowhere, stderr=nowhere)
        for end in (asked, answered, *ends):
            os.close(end)
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network", "DOM", "Accessibility"):
            self.call(f"{domain}.enable")

    def __enter__(self) -> "Chromium":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._questions)
        os.close(self._answers)
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One command of the protocol and its result."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters}
        message |= {"sessionId": self._session} if self._session else {}
        os.write(self._questions, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next_message(method)
            if answer.get("id") != number:
                self.events.append(answer)
            elif "error" in answer:
                raise RuntimeError(f"{method}: {answer['error']}")
            else:
                return dict(answer["result"])

    def _next_message(self, waiting_for: str) -> dict[str, Any]:
        end = time.monotonic() + WAIT
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._answers], [], [], max(0.0, end - time.monotonic()))
            received = os.read(self._answers, 1 << 20) if ready else b""
            if not received:
                raise TimeoutError(f"the browser did not answer {waiting_for}")
            self._rest += received
        message, _, self._rest = self._rest.partition(b"\0")
        return dict(json.loads(message))

    def evaluate(self, expression: str) -> Any:
        """The value of an expression in the page; promises are awaited."""
        options = {"returnByValue": True, "awaitPromise": True}
        result = self.call("Runtime.evaluate", expression=expression, **options)
        if "exceptionDetails" in result:
            raise RuntimeError(result["exceptionDetails"]["exception"].get("description", expression))
        return result["result"].get("value")

    def open(
        self, address: str, *, width: int = 1280, height: int = 900, scheme: str = "light", script: bool = True
    ) -> None:
        """Load a page in a window of that size, with the system's colours light or dark, with or without scripts."""
        self.events.clear()
        mobile = width < 600
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=mobile)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.call("Emulation.setScriptExecutionDisabled", value=not script)
        self.call("Page.navigate", url="about:blank")
        self.call("Page.navigate", url=address)
        end = time.monotonic() + WAIT
        while not any(event.get("method") == "Page.loadEventFired" for event in self._since(address)):
            if time.monotonic() > end:
                raise TimeoutError(f"{address} did not load")
            self.call("Page.getFrameTree")
            time.sleep(0.01)

    def _since(self, address: str) -> list[dict[str, Any]]:
        started = [
            place
            for place, event in enumerate(self.events)
            if event.get("method") == "Page.frameNavigated" and address.startswith(event["params"]["frame"]["url"])
        ]
        return self.events[started[-1] :] if started else []

    def press(self, key: str, *, shift: bool = False) -> None:
        """One key, as a keyboard sends it."""
        codes = {"Tab": 9, "Enter": 13, "Escape": 27, " ": 32, "ArrowDown": 40}
        common = {"key": key, "windowsVirtualKeyCode": codes[key], "modifiers": 8 if shift else 0}
        text = {"Enter": "\r", " ": " "}.get(key)
        self.call("Input.dispatchKeyEvent", type="keyDown", **common, **({"text": text} if text else {}))
        self.call("Input.dispatchKeyEvent", type="keyUp", **common)

    def type(self, text: str) -> None:
        """Text into whatever has the focus."""
        self.call("Input.insertText", text=text)

    def complaints(self) -> list[str]:
        """Messages that were logged as a warning or an error, on the console or by the browser, and what was thrown."""
        self.call("Page.getFrameTree")
        found = []
        for event in self.events:
            about = event.get("params", {})
            if event.get("method") == "Runtime.exceptionThrown":
                details = about["exceptionDetails"]
                found.append(details.get("exception", {}).get("description", details["text"]))
            if event.get("method") == "Log.entryAdded" and about["entry"]["level"] in ("warning", "error"):
                found.append(about["entry"]["text"])
            if event.get("method") == "Runtime.consoleAPICalled" and about["type"] in ("warning", "error", "assert"):
                found.append(str(about["args"]))
        return found

    def requests(self) -> list[str]:
        """Every address that was asked for, but for data inside the file."""
        self.call("Page.getFrameTree")
        asked = [e["params"]["request"]["url"] for e in self.events if e.get("method") == "Network.requestWillBeSent"]
        return [address for address in asked if not address.startswith(("data:", "about:"))]
