"""Files of the site beside its pages: the example report, and `llms.txt`."""

import shutil
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx

REPORT = Path("tutorial") / "report.html"


def add_report(app: Sphinx, problem: Exception | None) -> None:
    """The report that the first page made; made here where its outputs came from the cache or pages are not run."""
    if problem or app.builder.name != "html":
        return
    made, target = Path(app.srcdir) / REPORT, Path(app.outdir) / REPORT
    if not made.exists():
        import scalefit as sf

        sf.report(sf.fit(sf.datasets.load("chinchilla"), progress=False), made)
    target.parent.mkdir(exist_ok=True)
    shutil.copyfile(made, target)


def add_llms(app: Sphinx, problem: Exception | None) -> None:
    """`llms.txt`: every page's title, its source as Markdown, and its first paragraph."""
    if problem or app.builder.name != "html":
        return
    lines = ["# scalefit", "", "> Bayesian scaling laws: how big the model, how much data, what loss, and how wrong."]
    sections: dict[str, list[str]] = {}
    for name in sorted(app.env.found_docs):
        if "generated" in name:
            continue
        tree = app.env.get_doctree(name)
        first = next((" ".join(p.astext().split()) for p in tree.findall(nodes.paragraph)), "")
        suffix = Path(app.env.doc2path(name)).suffix
        line = f"- [{app.env.titles[name].astext()}](_sources/{name}{suffix}.txt): {first}"
        sections.setdefault(name.split("/")[0] if "/" in name else "start", []).append(line)
    for section, listed in sections.items():
        lines += ["", f"## {section}", "", *listed]
    (Path(app.outdir) / "llms.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    """Both at the end of a build."""
    app.connect("build-finished", add_report)
    app.connect("build-finished", add_llms)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
