"""JupyterLab as ``labkit open`` starts it, with a home of its own, and one notebook in it as a page."""

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
from playwright.sync_api import Browser, Page
from support_chromium import Fence

__all__ = ["NOTEBOOKS", "WIDTH", "LessonPage", "Served", "copied", "labkit_open", "opened"]

HERE = Path(__file__).parent
NOTEBOOKS = HERE.parent.parent / "notebooks"
LOOKS = (HERE / "looks.js").read_text(encoding="utf-8")
WIDTH = 1280
NOTEBOOK = ".jp-NotebookPanel:not(.lm-mod-hidden) .jp-NotebookPanel-notebook"
EVERY_CELL = {"windowingMode": "none"}  # the page holds them all, not only those in sight


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A running JupyterLab: the address that it printed for people, and its parts."""

    address: str

    @property
    def base(self) -> str:
        return self.address.split("/lab")[0]

    @property
    def token(self) -> str:
        return self.address.rpartition("token=")[2]

    def url(self, name: str) -> str:
        return f"{self.base}/lab/tree/{name}?reset&token={self.token}"


def copied(folder: Path) -> Path:
    """The lessons as in a fresh clone: copied, and signed by nobody."""
    return shutil.copytree(NOTEBOOKS, folder, ignore=shutil.ignore_patterns("*.py", ".*", "__pycache__"))


@contextmanager
def labkit_open(folder: Path, home: Path, *, whole_page: bool = False) -> Iterator[Served]:
    """Run ``labkit open --no-browser`` on ``folder``.

    Args:
        folder: the lessons; what is there stays, so that notebooks copied in before are untrusted.
        home: an empty folder in place of the user's own settings, signatures and progress.
        whole_page: keep every cell in the page, also those out of sight.
    """
    # What tests need on top of what users get: the application object as `window.jupyterapp`.
    _write(home / "config" / "jupyter_lab_config.json", {"LabApp": {"expose_app_in_browser": True}})
    if whole_page:
        _write(home / "settings/@jupyterlab/notebook-extension/tracker.jupyterlab-settings", EVERY_CELL)
    environment = os.environ | {
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_DATA_DIR": str(home / "data"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
        "IPYTHONDIR": str(home / "ipython"),
        "LABKIT_PROGRESS": str(home / "progress.json"),
    }
    command = [sys.executable, "-m", "labkit", "open", "--no-browser", "--port", "0", "--dir", str(folder)]
    process = subprocess.Popen(
        command,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
    )
    try:
        served = Served(address=_printed_address(process))
        # Nobody reads the rest, and a full pipe would stop the server.
        rest = threading.Thread(target=deque, args=(process.stdout, 0), daemon=True)
        rest.start()
        yield served
        httpx.post(
            f"{served.base}/api/shutdown", headers={"Authorization": f"token {served.token}"}, trust_env=False
        )
        assert process.wait(timeout=30) == 0
        rest.join(timeout=10)
    finally:
        _end(process)


@contextmanager
def opened(browser: Browser, served: Served, address: str) -> Iterator["LessonPage"]:
    """A notebook in a window of its own, 1280 pixels wide, with its kernel ready."""
    with browser.new_context(viewport={"width": WIDTH, "height": 900}, service_workers="block") as context:
        fence = Fence(context, served.base)
        lesson = LessonPage(context.new_page(), fence)
        lesson.page.goto(address)
        lesson.wait_until_ready()
        yield lesson
        lesson.page.evaluate("() => jupyterapp.shell.currentWidget.sessionContext.shutdown()")


class LessonPage:
    """A notebook in JupyterLab, seen through the browser.

    Attributes:
        page: Playwright's page, for the mouse and the keyboard.
        errors: what the page complained about in its console, and what it tried to reach elsewhere.
    """

    def __init__(self, page: Page, fence: Fence) -> None:
        self.page = page
        self.errors: list[str] = []
        self._fence = fence
        page.on("console", lambda line: self.errors.append(line.text) if line.type == "error" else None)
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    @property
    def complaints(self) -> list[str]:
        """Errors of the page, and requests to other machines."""
        return [f"console: {error}" for error in self.errors] + [
            f"request to {url}" for url in self._fence.outside
        ]

    def wait_until_ready(self) -> None:
        self.page.wait_for_function(
            "() => window.jupyterapp?.shell.currentWidget?.content?.widgets?.length", timeout=60_000
        )
        self.page.evaluate(
            "async () => { const panel = jupyterapp.shell.currentWidget; await panel.revealed;"
            " await panel.context.ready; await panel.sessionContext.ready;"
            " await panel.sessionContext.session.kernel.info }"
        )
        self.page.wait_for_function(
            "() => jupyterapp.shell.currentWidget.sessionContext.session.kernel.status === 'idle'"
        )
        self.settle()

    def settle(self) -> None:
        """Wait until all that is to be drawn is drawn."""
        self.page.wait_for_function(
            """() => {
                const rendered = ({ model, node, rendered }) => model.type !== 'code' ? rendered !== false
                    : node.querySelectorAll('.jp-OutputArea-output').length === model.outputs.length;
                return jupyterapp.shell.currentWidget.content.widgets.every(rendered)
                    && [...document.images].every((image) => image.complete);
            }"""
        )
        self.page.evaluate(
            "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
        )

    @property
    def trusted(self) -> bool:
        """Whether JupyterLab trusts the outputs."""
        return bool(
            self.page.evaluate(
                "() => jupyterapp.shell.currentWidget.content.widgets"
                ".every(({ model }) => model.type !== 'code' || model.trusted)"
            )
        )

    def theme(self, name: str) -> None:
        """Change to ``light`` or ``dark``, as the menu Settings → Theme does."""
        full = f"JupyterLab {name.title()}"
        self.page.evaluate("(theme) => jupyterapp.commands.execute('apputils:change-theme', { theme })", full)
        self.page.wait_for_function(
            """(theme) => document.body.dataset.jpThemeName === theme
                && getComputedStyle(document.body).getPropertyValue('--jp-layout-color0').trim()
                   === (theme.endsWith('Dark') ? '#111' : 'white')""",
            arg=full,
        )
        self.settle()

    def run_all(self) -> list[str]:
        """Run every cell, and return what went wrong where that was not meant."""
        self.page.evaluate("() => jupyterapp.commands.execute('notebook:run-all-cells')")
        self.settle()
        failed: list[str] = self.page.evaluate(
            """() => jupyterapp.shell.currentWidget.content.widgets.flatMap(({ model }, i) => {
                if (model.type !== 'code' || !model.sharedModel.source.trim()) return [];
                const ended = model.executionCount && model.executionState === 'idle';
                if (!ended) return [`cell ${i}: was not run`];
                if (model.getMetadata('tags')?.includes('raises-exception')) return [];
                return model.outputs.toJSON().filter((output) => output.output_type === 'error')
                    .map((output) => `cell ${i}: ${output.ename}: ${output.evalue}`);
            })"""
        )
        return failed

    def faults(self) -> list[str]:
        """What a reader would stumble over: see ``looks.js``."""
        found: list[str] = self.page.evaluate(LOOKS)
        return found

    def picture(self, path: Path) -> None:
        """The whole notebook as a PNG."""
        self.page.set_viewport_size({"width": WIDTH, "height": 900})
        height = self.page.evaluate(
            "() => Math.max(...jupyterapp.shell.currentWidget.content.widgets.map("
            "({ node }) => node.getBoundingClientRect().bottom)) + 40"
        )
        self.page.set_viewport_size({"width": WIDTH, "height": int(height)})
        self.settle()
        self.page.screenshot(path=path)


def _printed_address(process: "subprocess.Popen[str]") -> str:
    """The address that JupyterLab prints, as somebody would copy it from the terminal."""
    assert process.stdout is not None
    said: deque[str] = deque(maxlen=50)
    for line in process.stdout:
        said.append(line)
        if found := re.search(r"http://127\.0\.0\.1:\d+/lab\S*token=\w+", line):
            return found[0]
    raise AssertionError("labkit open has ended: " + "".join(said))


def _end(process: "subprocess.Popen[str]") -> None:
    """Leave nothing running: JupyterLab and the kernels are children of the command."""
    if process.poll() is None:
        for member in psutil.Process(process.pid).children(recursive=True):
            member.kill()
        process.kill()
    process.communicate(timeout=10)


def _write(path: Path, content: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")
