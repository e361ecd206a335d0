"""How long the site takes to build, page by page, and whether its links lead somewhere.

    python benchmarks/docs.py [site]        writes benchmarks/results/docs.md

Every page runs, without outputs of earlier builds; a warning fails the build. CPU seconds are those of kernels and of
all that they start. Links are those of the HTML: inside the site, where each is followed, and to others, counted.
"""

import os
import re
import resource
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import unquote

from machine import describe, write_table
from sphinx.application import Sphinx

ROOT = Path(__file__).parents[1]


class Clock:
    """Wall seconds, and CPU seconds of ended child processes, between the pages that are read."""

    def __init__(self) -> None:
        self.page, self.spent, self.last = "", {}, self.now()

    @staticmethod
    def now() -> tuple[float, float]:
        """Wall and CPU."""
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        return time.perf_counter(), children.ru_utime + children.ru_stime

    def lap(self, page: str) -> None:
        """End a page and begin another."""
        now = self.now()
        self.spent[self.page] = (now[0] - self.last[0], now[1] - self.last[1])
        self.page, self.last = page, now


def build(site: Path, scratch: Path) -> tuple[Clock, float, float]:
    """Build the site; raises where anything warns."""
    clock, start = Clock(), (time.perf_counter(), time.process_time())
    app = Sphinx(
        ROOT / "docs", ROOT / "docs", site, scratch / "doctrees", "html", freshenv=True, warningiserror=True,
        confoverrides={"nb_execution_cache_path": str(scratch / "outputs")},
    )  # fmt: skip
    app.connect("source-read", lambda app, page, source: clock.lap(page))
    app.connect("env-updated", lambda app, env: clock.lap("the rest"))
    app.build()
    clock.lap("")
    if app.statuscode:
        raise SystemExit("the build has warnings")
    return clock, time.perf_counter() - start[0], time.process_time() - start[1]


def links(site: Path) -> tuple[int, int, list[str]]:
    """How many links lead inside the site and how many to others, and those inside that lead nowhere."""
    html = [path for path in site.rglob("*.html") if path.name != "report.html" and "_static" not in path.parts]
    pages = {path: path.read_text(encoding="utf-8") for path in html}
    anchors = {path: set(re.findall(r'\bid="([^"]+)"', text)) for path, text in pages.items()}
    inside, outside, lost = 0, 0, []
    for path, text in pages.items():
        for link in set(re.findall(r'\b(?:href|src)="([^"]+)"', text)):
            if re.match(r"[a-z]+:|//", link):
                outside += 1
                continue
            file, _, anchor = unquote(link).partition("#")
            target = (path.parent / file.partition("?")[0]).resolve() if file else path
            inside += 1
            if not target.exists() or (anchor and anchor not in anchors.get(target, {anchor})):
                lost.append(f"{path.relative_to(site)}: {link}")
    return inside, outside, lost


def main() -> None:
    """Build, follow the links, write the table."""
    with tempfile.TemporaryDirectory() as scratch:
        site = Path(sys.argv[1] if len(sys.argv) > 1 else Path(scratch) / "site").resolve()
        clock, wall, own = build(site, Path(scratch))
        inside, outside, lost = links(site)
    executed = {page: spent for page, spent in clock.spent.items() if spent[1] > 1 and page not in ("", "the rest")}
    slowest = sorted(executed.items(), key=lambda each: -each[1][1])
    rows = [[page, *spent] for page, spent in slowest]
    rows += [["all, with Sphinx itself", wall, own + sum(spent[1] for spent in clock.spent.values())]]
    write_table(
        ROOT / "benchmarks" / "results" / "docs.md",
        "The site",
        f"{describe('sphinx', 'myst-nb')}; load average {os.getloadavg()[2]:.1f}. {len(executed)} pages run; "
        f"{inside} links inside the site, {len(lost)} of them broken; {outside} to other sites, not followed.",
        (["page", "wall s", "CPU s"], rows),
    )
    if lost:
        raise SystemExit("\n".join(lost))


if __name__ == "__main__":
    main()
