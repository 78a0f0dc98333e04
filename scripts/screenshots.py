"""Screenshots of a run's report at desktop and phone width, by a local Chromium and nothing else.

    python scripts/screenshots.py RUN OUT            # the first screen and chosen sections, PNG
    python scripts/screenshots.py RUN OUT --whole    # the whole page in slices, for looking at every chart
    python scripts/screenshots.py RUN OUT --dark     # in dark colours
    python scripts/screenshots.py RUN OUT --pdf      # also the page as printed

Speaks the DevTools protocol over a pipe (file descriptors 3 and 4), so no driver and no open port are needed.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

WIDTHS = {"desktop": (1280, 900, 1.0), "phone": (390, 844, 2.0)}  # width, height, pixels a point
SECTIONS = ("question", "ood", "control", "finetune")
PATIENCE = 240  # seconds without a word from the browser
SLICE = 3600  # points of page height in one picture
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-sync",
    "--no-first-run",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)


def chromium() -> str | None:
    """The Chromium on this machine, if there is one."""
    return next(
        (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))),
        None,
    )


class Browser:
    """One page of a headless Chromium. `events` keeps what the page reported: requests, errors, dialogs."""

    def __init__(self, write: int, read: int):
        self.write, self.read, self.number, self.buffer = write, read, 0, b""
        self.events: list[dict[str, Any]] = []
        self.session: str | None = None

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command and wait for its answer. Raises RuntimeError with the browser's words."""
        self.number += 1
        message: dict[str, Any] = {"id": self.number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") != self.number:
                self.events.append(answer)
            elif "error" in answer:
                raise RuntimeError(f"{method}: {answer['error']['message']}")
            else:
                return answer["result"]

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self.buffer:
            if not select.select([self.read], [], [], PATIENCE)[0]:
                raise RuntimeError(f"Chromium said nothing for {PATIENCE} seconds")
            data = os.read(self.read, 1 << 20)
            if not data:
                raise RuntimeError("Chromium closed the pipe")
            self.buffer += data
        text, _, self.buffer = self.buffer.partition(b"\0")
        return json.loads(text)

    def attach(self) -> None:
        """Open an empty page and listen to it."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def value(self, script: str) -> Any:
        """The value of a JavaScript expression; promises are waited for."""
        found = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in found:
            raise RuntimeError(found["exceptionDetails"]["text"])
        return found["result"].get("value")

    def open(self, path: Path, size: tuple[int, int, float], *, dark: bool = False) -> None:
        """Load a file at a size and wait until every chart is drawn (a minute at most)."""
        width, height, scale = size
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=scale,
            mobile=width < 600,
        )
        self.call(
            "Emulation.setEmulatedMedia",
            features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}],
        )
        self.call("Page.navigate", url=path.resolve().as_uri())
        for _ in range(100):
            if self.value("document.readyState") == "complete":
                break
            time.sleep(0.1)
        self.value(
            "(async () => { const pause = (t) => new Promise((done) => setTimeout(done, t));"
            "document.documentElement.style.scrollBehavior = 'auto';"
            "for (let y = 0; y < document.body.scrollHeight; y += 1200) { scrollTo(0, y); await pause(60); }"
            "for (let i = 0; i < 600 && document.querySelector('.picture:not(.drawn)'); i++) await pause(100);"
            "scrollTo(0, 0); await pause(150); })()"
        )

    def shot(self, path: Path, box: tuple[float, float, float, float] | None = None) -> Path:
        """Save the viewport, or a box (x, y, width, height) of the page, as PNG."""
        more: dict[str, Any] = {}
        if box:
            more = {"clip": dict(zip(("x", "y", "width", "height"), box, strict=True)) | {"scale": 1}}
        data = self.call("Page.captureScreenshot", captureBeyondViewport=box is not None, **more)["data"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(data))
        return path


@contextmanager
def browser() -> Iterator[Browser]:
    """A headless Chromium with a profile of its own, ended at the end. Raises RuntimeError without Chromium."""
    program = chromium()
    if program is None:
        raise RuntimeError("no Chromium found: install it, e.g. apt-get install chromium")
    read_here, write_there = os.pipe()
    read_there, write_here = os.pipe()

    def wire() -> None:  # Chromium reads commands on 3 and writes answers on 4
        ends = os.dup(read_there), os.dup(write_there)
        os.dup2(ends[0], 3)
        os.dup2(ends[1], 4)

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = subprocess.Popen(
            [program, *FLAGS, f"--user-data-dir={profile}", "about:blank"],
            preexec_fn=wire, close_fds=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(read_there)
        os.close(write_there)
        try:
            page = Browser(write_here, read_here)
            page.attach()
            yield page
        finally:
            process.terminate()
            process.wait(timeout=PATIENCE)
            os.close(write_here)
            os.close(read_here)


def take(run: Path, out: Path, *, whole: bool, dark: bool, pdf: bool) -> list[Path]:
    """All pictures of one report."""
    taken = []
    with browser() as page:
        for name, size in WIDTHS.items():
            page.open(run / "report.html", size, dark=dark)
            tail = f"{name}-dark" if dark else name
            if whole:
                height = page.value("document.documentElement.scrollHeight")
                for number, top in enumerate(range(0, height, SLICE)):
                    box = (0, top, size[0], min(SLICE, height - top))
                    taken.append(page.shot(out / f"whole-{tail}-{number:02d}.png", box))
                continue
            taken.append(page.shot(out / f"report-{tail}.png"))
            for section in SECTIONS:
                script = f"(() => {{ const r = document.getElementById('{section}')?.getBoundingClientRect();"
                found = page.value(script + "return r && [r.y + scrollY, r.height]; })()")
                if found and section != "question":
                    box = (0, found[0], size[0], min(found[1], SLICE))
                    taken.append(page.shot(out / f"report-{tail}-{section}.png", box))
        if pdf:
            data = page.call("Page.printToPDF", printBackground=True, preferCSSPageSize=True)["data"]
            (out / "report.pdf").write_bytes(base64.b64decode(data))
            taken.append(out / "report.pdf")
    return taken


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("run", type=Path)
    parser.add_argument("out", type=Path)
    for option in ("whole", "dark", "pdf"):
        parser.add_argument(f"--{option}", action="store_true")
    options = parser.parse_args()
    for path in take(options.run, options.out, whole=options.whole, dark=options.dark, pdf=options.pdf):
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
