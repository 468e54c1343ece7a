"""Headless Chromium, driven over a pipe with the DevTools protocol: no driver, no port."""

import base64
import fcntl
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

#: Seconds for an answer of the browser, and for what a page is to become.
PATIENCE = 30.0
#: The first has no window to draw, and takes less than half of the processor time of the others.
_NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def executable() -> str:
    """The browser's path. Without one: skip, or fail where CI is set."""
    path_of_browser = next((path for name in _NAMES if (path := shutil.which(name))), None)
    if not path_of_browser:
        why = "no Chromium: bin/test-needs installs one"
        pytest.fail(why) if os.environ.get("CI") else pytest.skip(why)
    return path_of_browser


class Failed(AssertionError):
    """Raised when the browser or the page's script says that something is wrong."""


class Page:
    """One tab. Clicks and keys are real events at real places, as a person's are."""

    def __init__(self, browser: "Browser", session: str, context: str) -> None:
        self._browser, self._session, self._context = browser, session, context
        #: What the console complained of: blocked loads, errors of scripts.
        self.complaints: list[str] = []
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One command of the protocol."""
        return self._browser.call(method, self._session, **parameters)

    def close(self) -> None:
        """Close the tab: until then it goes on asking for news and drawing them."""
        self._browser.call("Target.disposeBrowserContext", browserContextId=self._context)

    def log_in(self, user: str, password: str) -> None:
        """Send these with every request."""
        token = base64.b64encode(f"{user}:{password}".encode()).decode()
        self.call("Network.setExtraHTTPHeaders", headers={"Authorization": f"Basic {token}"})

    def size(self, width: int, height: int, *, scale: float = 1, phone: bool = False) -> None:
        """The window's size in CSS pixels."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=phone
        )

    def dark(self, dark: bool = True) -> None:
        """What the system prefers."""
        features = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.call("Emulation.setEmulatedMedia", features=features)

    def open(self, address: str) -> None:
        """Go there and wait for the page."""
        answer = self.call("Page.navigate", url=address)
        if answer.get("errorText"):
            raise Failed(f"{address}: {answer['errorText']}")
        self.until("document.readyState === 'complete' && location.href !== 'about:blank'")

    def run(self, script: str) -> Any:
        """The value of a JavaScript expression."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise Failed(f"{script}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def until(self, script: str, seconds: float = PATIENCE) -> Any:
        """Wait until an expression is true, and answer it."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                # An element cannot be answered; that there is one can.
                value = self.run(f"(() => {{ const it = ({script}); return it instanceof Node || it; }})()")
            except Failed:
                # A page that is just being replaced.
                value = None
            if value:
                return value
            if time.monotonic() > deadline:
                raise Failed(f"not within {seconds} s: {script}; the page: {self.run('document.body.innerText')[:800]}")
            time.sleep(0.05)

    def text(self, selector: str) -> str:
        """What a person reads there."""
        return str(self.until(f"document.querySelector({json.dumps(selector)})?.innerText ?? ''"))

    def click(self, selector: str) -> None:
        """Click the middle of the first element that is seen, once it stays at its place.

        A page that draws itself anew under the pointer gets no click: then it is clicked again.
        """
        deadline = time.monotonic() + PATIENCE
        while not self._hits(selector):
            if time.monotonic() > deadline:
                raise Failed(f"no click reaches {selector} within {PATIENCE} s")

    def _hits(self, selector: str) -> bool:
        """Click once; whether the click reached the element."""
        place, before = self._middle(selector), None
        deadline = time.monotonic() + PATIENCE
        while place != before and time.monotonic() < deadline:
            time.sleep(0.05)
            place, before = self._middle(selector), place
        target = f"event.target.closest({json.dumps(selector)}) !== null"
        note = f"(event) => {{ window.clickHit = {target}; }}, {{capture: true, once: true}}"
        self.run(f"window.clickHit = false; document.addEventListener('click', {note})")
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            button = {} if kind == "mouseMoved" else {"button": "left", "clickCount": 1}
            self.call("Input.dispatchMouseEvent", type=kind, x=place[0], y=place[1], **button)
        try:
            return self.run("window.clickHit") is not False
        except Failed:
            # The click has led to another page.
            return True

    def _middle(self, selector: str) -> Any:
        return self.until(
            f"""(() => {{
              const all = [...document.querySelectorAll({json.dumps(selector)})];
              const one = all.find((element) => element.getClientRects().length);
              if (!one) return null;
              one.scrollIntoView({{block: 'center', behavior: 'instant'}});
              const box = one.getBoundingClientRect();
              return [box.x + box.width / 2, box.y + box.height / 2];
            }})()"""
        )

    def key(self, key: str) -> None:
        """Press a key that is no letter."""
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key)

    def picture(self, path: Path, *, whole: bool = True) -> None:
        """A PNG of the page."""
        answer = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(answer["data"]))


class Browser:
    """A running Chromium."""

    def __init__(self, process: "subprocess.Popen[bytes]", to: int, back: int) -> None:
        self._process, self._to, self._back = process, to, back
        self._next, self._read = 0, b""
        self._pages: dict[str, Page] = {}

    def page(self) -> Page:
        """A new tab, with cookies and storage of its own."""
        context = self.call("Target.createBrowserContext")["browserContextId"]
        target = self.call("Target.createTarget", url="about:blank", browserContextId=context)["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = Page(self, session, context)
        self._pages[session] = page
        return page

    def call(self, method: str, session: str | None = None, **parameters: Any) -> dict[str, Any]:
        """One command of the protocol; what happens meanwhile is noted."""
        self._next += 1
        message = {"id": self._next, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._message()
            if answer.get("id") == self._next:
                if "error" in answer:
                    raise Failed(f"{method}: {answer['error']['message']}")
                return dict(answer["result"])
            self._note(answer)

    def _message(self) -> dict[str, Any]:
        while b"\0" not in self._read:
            more = os.read(self._back, 1 << 20)
            if not more:
                raise Failed(f"the browser ended with {self._process.wait()}")
            self._read += more
        text, _, self._read = self._read.partition(b"\0")
        return dict(json.loads(text))

    def _note(self, event: dict[str, Any]) -> None:
        page = self._pages.get(event.get("sessionId", ""))
        if event.get("method") == "Page.javascriptDialogOpening":
            # A person who asks for it says yes. Its answer is not waited for.
            message = {"id": 0, "method": "Page.handleJavaScriptDialog", "params": {"accept": True}}
            os.write(self._to, json.dumps({**message, "sessionId": event["sessionId"]}).encode() + b"\0")
        elif page and event.get("method") == "Log.entryAdded" and event["params"]["entry"]["level"] == "error":
            page.complaints.append(event["params"]["entry"]["text"])
        elif page and event.get("method") == "Runtime.exceptionThrown":
            page.complaints.append(str(event["params"]["exceptionDetails"]))


@contextmanager
def browser(profile: Path) -> Iterator[Browser]:
    """A headless Chromium with a fresh profile."""
    theirs_in, to = os.pipe()
    back, theirs_out = os.pipe()
    # A window that nobody asked for draws itself all the time.
    options = ["--headless", "--remote-debugging-pipe", "--disable-gpu", "--no-startup-window", "--no-first-run"]
    options += ["--hide-scrollbars"]
    options += ["--disable-background-networking", "--disable-dev-shm-usage", f"--user-data-dir={profile}"]
    if os.geteuid() == 0:
        options.append("--no-sandbox")
    # Beyond 4, so that neither is in the way of the other.
    theirs = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (theirs_in, theirs_out)]

    def speak() -> None:
        """The protocol is spoken on the descriptors 3 and 4."""
        os.dup2(theirs[0], 3)
        os.dup2(theirs[1], 4)

    process = subprocess.Popen(
        [executable(), *options],
        preexec_fn=speak,  # noqa: PLW1509
        pass_fds=(3, 4),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    for end in (*theirs, theirs_in, theirs_out):
        os.close(end)
    try:
        yield Browser(process, to, back)
    finally:
        process.kill()
        process.wait()
        os.close(to)
        os.close(back)
