"""The report's page: first paint, a new plan, a new frontier, its size, and how far its numbers are from Python's.

    python benchmarks/page.py           writes benchmarks/results/page.md

The shipped Chinchilla runs, 1,000 draws, headless Chromium on one core, as it is and with its processor throttled four
times, as a slow phone has it. Times are the least of many, which other work on the machine disturbs least.
"""

import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
from machine import describe, write_table
from playwright.sync_api import Browser, Page, sync_playwright

import scalefit as sf

REPEATS = 3
TIMES = """() => {
  const { model, payload: { initial } } = scalefit;
  const time = (f) => { const start = performance.now(); f(); return performance.now() - start; };
  const least = (count, f) => Math.min(...Array.from({ length: count }, () => time(f)));
  const found = {};
  for (const discrepancy of [true, false]) {
    const state = { ...initial, discrepancy };
    const name = discrepancy ? "with discrepancy" : "law only";
    const random = () => ({ ...state, budget: state.budget * (1 + 0.1 * Math.random()) });
    found[`a new plan, ${name}`] = least(20, () => model.plan(random()));
    found[`a new frontier, ${name}`] =
      least(5, () => model.frontier({ ...state, unique: 1e17 * (1 + Math.random()) }, 0.9));
    model.fill(state);
    found[`waste and near-optimal sizes of a plan, ${name}`] = least(5, () => model.risk(random()));
  }
  return found;
}"""
OPTIMA = """({ budgets, discrepancy }) => budgets.map((budget) => {
  const found = scalefit.model.optima({ ...scalefit.payload.initial, discrepancy, budget });
  return [[...found.logN], [...found.loss]];
})"""


def opened(browser: Browser, file: Path, throttled: int) -> tuple[Page, dict[str, float]]:
    """A page that has drawn everything it draws by itself, and how long that took."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.context.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", {"rate": throttled})
    page.goto(file.as_uri())
    page.wait_for_selector("html[data-ready]", state="attached", timeout=300_000)
    paint = page.evaluate("() => performance.getEntriesByName('first-contentful-paint')[0].startTime")
    return page, {"first paint": paint, "every visible figure drawn": page.evaluate("() => scalefit.drawn")}


def timed(browser: Browser, file: Path, throttled: int) -> dict[str, float]:
    """The least over fresh pages, in milliseconds."""
    found = []
    for _ in range(REPEATS):
        page, own = opened(browser, file, throttled)
        found.append(own | page.evaluate(TIMES))
        page.close()
    return {name: min(each[name] for each in found) for name in found[0]}


def differences(browser: Browser, file: Path, fit: sf.Fit) -> list[list[object]]:
    """The largest over all draws and budgets, where the page has every draw that Python has."""
    budgets = np.geomspace(1e18, 1e26, 9)
    page, _ = opened(browser, file, 1)
    rows = []
    for discrepancy in (True, False):
        given = {"budgets": budgets.tolist(), "discrepancy": discrepancy}
        log_n, loss = np.moveaxis(np.array(page.evaluate(OPTIMA, given)), 1, 0)
        front = fit.frontier(budgets, discrepancy)
        some = np.unique(np.linspace(0, len(front.loss) - 1, log_n.shape[1]).round().astype(int))
        off_n = float(np.abs(log_n.T - np.log(front.params[some])).max())
        off_loss = float(np.abs(loss.T / front.loss[some] - 1).max())
        rows.append(["with discrepancy" if discrepancy else "law only", f"{off_n:.1e}", f"{off_loss:.1e}"])
    page.close()
    return rows


def main() -> None:
    """Measure and write the tables."""
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    fit = sf.fit(sf.datasets.load("chinchilla"))
    load = f"load average before {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        file = sf.report(fit, Path(folder) / "report.html")
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # of the browser too, which inherits it
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"] if os.geteuid() == 0 else [])
        free, slow = timed(browser, file, 1), timed(browser, file, 4)
        off, size = differences(browser, file, fit), file.stat().st_size / 1e6
        version = browser.version
        browser.close()
    times = [[name, f"{free[name]:.0f}", f"{slow[name]:.0f}"] for name in free]
    where = f"{describe('plotly')}, Chromium {version}; one core; the file has {size:.2f} MB; {load}"
    write_table(
        Path(__file__).parent / "results" / "page.md",
        "The report's page",
        where,
        (["milliseconds, 1,000 draws, least of many", "one core", "throttled four times"], times),
        (["largest difference from Python, 9 budgets", "in ln N of an optimum", "in its loss, relative"], off),
    )


if __name__ == "__main__":
    main()
