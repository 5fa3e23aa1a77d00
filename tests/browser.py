"""A headless Chromium that opens a file, is clicked and scrolled, and tells what it shows.

It is spoken to through two pipes in its DevTools protocol: nothing but the browser is needed.
"""

import base64
import itertools
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"),
    *("--remote-debugging-pipe", "--force-device-scale-factor=1", "--hide-scrollbars"),
)
LIMIT_S = 60


class Browser:
    """One tab."""

    def __init__(self, read: int, write: int) -> None:
        self._reader, self._writer = os.fdopen(read, "rb"), os.fdopen(write, "wb")
        self._numbers, self._session, self._rest = itertools.count(1), {}, b""
        self.requests: list[str] = []
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        attached = self._call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = {"sessionId": attached["sessionId"]}
        self._call("Page.enable")
        self._call("Network.enable")

    def open(self, page: Path, *, size: tuple[int, int] = (1400, 1000), before: str = "") -> None:
        """Open a file in a window of a size, and wait until it has drawn itself, or says why not.

        `before` is JavaScript that runs ahead of the page's own.
        """
        added = self._call("Page.addScriptToEvaluateOnNewDocument", source=before)
        self._call(
            "Emulation.setDeviceMetricsOverride",
            width=size[0],
            height=size[1],
            deviceScaleFactor=1,
            mobile=False,
        )
        self._call("Page.navigate", url=page.as_uri())
        self._call("Page.removeScriptToEvaluateOnNewDocument", **added)
        self.wait(
            "document.readyState === 'complete'"
            " && !document.getElementById('state')?.textContent.startsWith('Unpacking')"
        )
        self.settle()

    def wait(self, condition: str) -> None:
        """Until a JavaScript expression holds."""
        end = time.monotonic() + LIMIT_S
        while not self.evaluate(condition):
            assert time.monotonic() < end, f"never became true: {condition}"
            time.sleep(0.05)

    def settle(self) -> None:
        """Until two frames are drawn, so that what was asked for is seen."""
        self.evaluate("new Promise(r => requestAnimationFrame(() => requestAnimationFrame(r)))")

    def evaluate(self, expression: str) -> Any:
        """Value of a JavaScript expression, or of its promise."""
        answer = self._call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def text(self, selector: str) -> str:
        """Text of the first element of a CSS selector."""
        return self.evaluate(f"document.querySelector({json.dumps(selector)}).textContent.trim()")

    def place(self, selector: str, x: float = 0.5, y: float = 0.5) -> tuple[float, float]:
        """Where in the window a part of an element is, scrolled into view."""
        return tuple(
            self.evaluate(
                f"""(() => {{
                  const element = document.querySelector({json.dumps(selector)});
                  element.scrollIntoView({{ block: "center", behavior: "instant" }});
                  const box = element.getBoundingClientRect();
                  return [box.left + {x} * box.width, box.top + {y} * box.height];
                }})()"""
            )
        )

    def click(self, selector: str, x: float = 0.5, y: float = 0.5) -> None:
        """Press and release the left button on a part of an element."""
        left, top = self.place(selector, x, y)
        at = {"x": left, "y": top, "button": "left", "clickCount": 1}
        self._call("Input.dispatchMouseEvent", type="mousePressed", buttons=1, **at)
        self._call("Input.dispatchMouseEvent", type="mouseReleased", **at)
        self.settle()

    def scroll(self, selector: str, pixels: float) -> None:
        """Turn the wheel over the middle of an element, downwards."""
        x, y = self.place(selector)
        wheel = {"type": "mouseWheel", "deltaX": 0, "deltaY": pixels}
        self._call("Input.dispatchMouseEvent", x=x, y=y, **wheel)
        self.settle()

    def press(self, key: str) -> None:
        """Press a key on what has the focus."""
        self._call("Input.dispatchKeyEvent", type="keyDown", key=key, code=key)
        self.settle()

    def screenshot(self) -> bytes:
        """PNG of the window."""
        return base64.b64decode(self._call("Page.captureScreenshot")["data"])

    def close(self) -> None:
        """Have the browser end."""
        self._session = {}
        self._call("Browser.close")
        self._reader.close()
        self._writer.close()

    def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters, **self._session}
        self._writer.write(json.dumps(message).encode() + b"\0")
        self._writer.flush()
        while (answer := self._next()).get("id") != number:
            if answer.get("method") == "Network.requestWillBeSent":
                self.requests.append(answer["params"]["request"]["url"])
        assert "error" not in answer, (method, answer)
        return answer["result"]

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            part = os.read(self._reader.fileno(), 1 << 20)
            assert part, "the browser has ended"
            self._rest += part
        message, self._rest = self._rest.split(b"\0", 1)
        return json.loads(message)


@contextmanager
def browser(profile: Path) -> Iterator[Browser]:
    """A browser with a profile of its own; the test is skipped where there is none."""
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        pytest.skip(f"no browser is here: install one of {', '.join(NAMES)}")
    (its_read, write), (read, its_write) = os.pipe(), os.pipe()
    # The protocol is on descriptors 3 and 4.
    command = f'exec "$@" 3<&{its_read} 4>&{its_write}'
    process = subprocess.Popen(
        ["/bin/bash", "-c", command, "chromium", program, *FLAGS, f"--user-data-dir={profile}"],
        pass_fds=(its_read, its_write),
        stderr=subprocess.DEVNULL,
    )
    os.close(its_read)
    os.close(its_write)
    try:
        tab = Browser(read, write)
        yield tab
        tab.close()
        process.wait(LIMIT_S)
    finally:
        process.kill()
        process.wait()
