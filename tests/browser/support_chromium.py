"""The Chromium of this machine, driven by Playwright, and fenced in: it reaches loopback and nothing else."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, Route, WebSocketRoute, sync_playwright
from support_cli import absent

__all__ = ["Fence", "chromium", "find"]

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
PLACES = (
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge",
    *(
        rf"{os.environ.get(folder, '')}\{program}"
        for folder in ("ProgramFiles", "ProgramFiles(x86)", "LocalAppData")
        for program in (r"Google\Chrome\Application\chrome.exe", r"Microsoft\Edge\Application\msedge.exe")
    ),
)
#: No GPU in a container; and no name is looked up, so that a request that got around the fence leads nowhere.
FLAGS = ["--disable-gpu", "--disable-sync", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]


def find() -> str | None:
    """The browser: what ``LABKIT_CHROMIUM`` names, else the first that is installed."""
    if chosen := os.environ.get("LABKIT_CHROMIUM"):
        return chosen
    installed = (shutil.which(name) for name in NAMES)
    return next(filter(None, installed), None) or next((p for p in PLACES if Path(p).is_file()), None)


@contextmanager
def chromium() -> Iterator[Browser]:
    """A running browser; skips the test where there is none, or fails it where CI promised one."""
    path = find() or absent("Chromium is not installed")
    driver = subprocess.run([sys.executable, "-m", "playwright", "--version"], capture_output=True, text=True)
    if driver.returncode:  # its Node.js wants libraries that a lean system may not have
        absent(f"Playwright does not start ({driver.stderr.strip()})")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()


class Fence:
    """Lets the pages of a context reach one address only, and remembers what else they asked for."""

    def __init__(self, context: BrowserContext, allowed: str) -> None:
        self.outside: list[str] = []
        self._allowed = urlsplit(allowed).netloc
        context.route("**/*", self._judge)
        context.route_web_socket("**/*", self._judge_line)

    def _judge(self, route: Route) -> None:
        if self._inside(route.request.url):
            route.continue_()
        else:
            route.abort()

    def _judge_line(self, line: WebSocketRoute) -> None:
        if self._inside(line.url):
            line.connect_to_server()
        else:
            line.close()

    def _inside(self, url: str) -> bool:
        if url.startswith(("data:", "blob:")) or urlsplit(url).netloc == self._allowed:
            return True
        self.outside.append(url[:200])
        return False
