"""Debian's Chromium on the live server, with the clock's jobs running in threads of this process."""

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, ViewportSize
from pytest_django.live_server_helper import LiveServer

from smsmail.jobs.periodic import PERIODIC_JOBS
from smsmail.management.commands.runworker import repeat

# Playwright's own loop runs in this thread; the tests here ask the database between its calls.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"

WIDE: ViewportSize = {"width": 1280, "height": 800}
NARROW: ViewportSize = {"width": 390, "height": 844}


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    path = shutil.which("chromium")
    assert path, "these tests need Debian's package chromium"
    quiet = ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
    return browser_type_launch_args | {
        "executable_path": path,
        "args": ["--no-sandbox", "--disable-gpu", "--no-first-run", *quiet],
    }


@pytest.fixture
def open_page(browser: Browser, live_server: LiveServer) -> Iterator[Callable[..., Page]]:
    """Opens a page of a browser of its own; at the end, the console may hold no error or warning."""
    errors: list[str] = []
    contexts: list[BrowserContext] = []

    def listen(said: ConsoleMessage) -> None:
        if said.type in {"warning", "error"}:
            errors.append(f"{said.type}: {said.text}")

    def open_(path: str = "/", **options: Any) -> Page:
        context = browser.new_context(
            base_url=live_server.url,
            **{"locale": "en-GB", "viewport": WIDE, "reduced_motion": "reduce"} | options,
        )
        contexts.append(context)
        page = context.new_page()
        page.on("console", listen)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(path)
        return page

    yield open_
    for context in contexts:
        context.close()
    assert errors == []


@pytest.fixture
def worker(transactional_db: None) -> Iterator[None]:
    """What runworker runs, on this test's database."""
    stop = threading.Event()
    threads = [
        threading.Thread(target=repeat, args=(job, stop), name=job.name) for job in PERIODIC_JOBS
    ]
    for thread in threads:
        thread.start()
    yield
    stop.set()
    for thread in threads:
        thread.join()
