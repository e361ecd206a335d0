"""A headless Chromium for tests of the report, and draws of a law that needs no fit."""

import os
import shutil
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from scalefit.model.discrepancy import coordinates, pivots, scale_grid
from scalefit.model.paths import AtPivots, sample_paths

PROBES = Path(__file__).with_name("page_probes.js").read_text()
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def chromium():
    """The browser's path; skips the test where there is none."""
    pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip("no Chromium is installed")
    return found


@contextmanager
def started():
    """A browser."""
    path = chromium()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=path, args=sandbox)
        try:
            yield browser
        finally:
            browser.close()


class Page:
    """A page opened from a file without network, and what it logged and asked for."""

    def __init__(self, browser, path, hash="", width=1280, scheme="light", script=True, whole=True):
        self.context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, java_script_enabled=script, offline=True
        )
        self.page, self.log = self.context.new_page(), []
        self.page.on("console", lambda message: self.log.append(message.text))
        self.page.on("pageerror", lambda error: self.log.append(str(error)))
        self.page.on("request", lambda request: self.asked(request.url))
        self.page.goto(f"{path.as_uri()}{hash}")
        if script:
            self.page.evaluate(PROBES)
        if script and whole:
            self.ready()

    def asked(self, url):
        if not url.startswith(("file:", "data:", "blob:")):
            self.log.append(url)

    def ready(self):
        self.page.wait_for_selector("html[data-ready]", state="attached", timeout=120_000)

    def text(self, selector):
        return self.page.text_content(selector)

    def run(self, code, value=None):
        return self.page.evaluate(code, value)

    def close(self):
        self.context.close()


def made_up_draws(law, count, seed):
    """Draws about the constants of a law's paper, and paths of the discrepancy with random weights."""
    rng = np.random.default_rng(seed)
    constants = law.reference()[0].theta
    scale = 0.001 if law.name == "farseer" else 0.01  # whose constants are a hundred times as sharp
    theta = {name: value * np.exp(scale * rng.standard_normal(count)) for name, value in constants.items()}
    n, d = np.exp(rng.uniform(np.log([[1e8], [2e9]]), np.log([[1e10], [2e11]]), (2, 60)))
    scales = scale_grid()[::3]
    at = [AtPivots.of(each, pivots(each, coordinates({"params": n, "tokens": d}))[0]) for each in scales]
    component = rng.integers(len(scales), size=count)
    return theta, sample_paths(at, component, 0.3 * rng.standard_normal((count, 28)), rng)
