"""Figures of benchmarks that README and pages quote are those of the files in benchmarks/results/."""

import json
import re

import pytest
from documentation import ROOT

from scalefit.counting.architectures import ARCHITECTURES
from scalefit.counting.flops import RULES
from scalefit.io.datasets import CATALOGUE
from scalefit.io.formats import FORMATS
from scalefit.laws import Law
from scalefit.text.fits import LAW_ONLY_COVERAGE

RESULTS = ROOT / "benchmarks" / "results"
COUNTS = {4: "Four", 7: "seven", 12: "Twelve", 15: "Fifteen"}


def text(name):
    """A page with its lines joined."""
    return " ".join((ROOT / name).read_text().split())


def rows(name, *, key=1):
    """The rows of the tables of a result by their first cells, the first of each name; figures are numbers."""
    lines = re.findall(r"^\| (.*) \|$", (RESULTS / name).read_text(), flags=re.MULTILINE)
    cells = [line.split(" | ") for line in lines]
    return {row[0] if key == 1 else tuple(row[:key]): [number(cell) for cell in row[key:]] for row in reversed(cells)}


def number(cell):
    found = re.fullmatch(r"([-+.\de]+)(%?)", cell)
    return float(found[1]) / (100 if found[2] else 1) if found and re.search(r"\d", cell) else cell


def percent(share):
    return f"{share:.0%}".replace("%", " %")


LEARNED = json.loads((RESULTS / "learn_discrepancy.json").read_text())
EVIDENCE, METHODS = LEARNED["evidence"], LEARNED["methods"]
IN_USE, LAW = METHODS["in use"], METHODS["law only"]
HUBER = {
    name: rows("learn_discrepancy.md")["Huber bootstrap"][i] for i, name in ((0, "loss"), (5, "size"), (7, "crps"))
}
SWEEPS = re.findall(r"^- (\S.*?): (\d+)%", (RESULTS / "learn_discrepancy.md").read_text(), flags=re.MULTILINE)
MINIMA = re.search(r"90 % intervals contain (\d+)% of", (RESULTS / "learn_discrepancy.md").read_text())[1]
CURVES = re.search(
    rf"\| {EVIDENCE['worst_family']}:\S+ \| \d+% \| \S+ \| (\d+)% ", (RESULTS / "learn_discrepancy.md").read_text()
)[1]
START, PEERS, POSTERIORS = rows("startup.md"), rows("peers.md"), rows("posteriors.md")
SPEED = json.loads((RESULTS / "speed.json").read_text())
ANSWERED = [row for (_, step), row in rows("newcomer.md", key=2).items() if step == "plan: the first answer"]
NEWCOMER = sorted(5 * round(cpu / 5) for *_, cpu in ANSWERED)
WRONG = next(
    row for row in json.loads((RESULTS / "sbc.json").read_text())["rows"] if "wrong on purpose" in row["engine"]
)
THOUSANDS = json.loads((RESULTS / "sbc_10000.json").read_text())["rows"][-1]
H100 = rows("accelerator-nvidia-h100-80gb-hbm3.md", key=3)
H200 = rows("accelerator-nvidia-h200.md", key=3)
APPROACH_2 = re.match(r"(\d+)%", rows("recovery.md", key=2)["alpha / beta = 3", "approach 2"][-1])[1]
FIRST, LATER = (
    START[name][0] for name in ("`scalefit fit chinchilla`, first time ever", "the same, warm cache, median of 5")
)


def faults(kind):
    """Tables with a wrong verdict, of each kind of table, in the order of the file."""
    return [int(found) for found in re.findall(rf"\| (\d+) of \d+ {kind} \|", (RESULTS / "health.md").read_text())]


def of_kaplan(column):
    """Intervals of tables of Kaplan's law that contain the truth, over three budgets of 14 tables."""
    rows = re.findall(r"of 20 \| (\d+) of 14 \| (\d+) of 14 \|", (RESULTS / "health.md").read_text())
    assert len(rows) == 3
    return sum(int(row[column]) for row in rows)


def samplers():
    """Lines of the table of samplers: seconds to 4,000 effective draws, and times those of the default."""
    chosen = {
        "scalefit, default, with its health checks": POSTERIORS["scalefit: default (AIS)"],
        "scalefit, NUTS whitened at the mode": POSTERIORS["scalefit: NUTS"],
        "PyMC with nutpie, low-rank metric (4 divergences)": POSTERIORS["pymc: nutpie, low rank"],
        "emcee, 64 walkers": PEERS["emcee: 64 walkers"],
        "Stan": PEERS["stan: NUTS"],
        "NumPyro as a user would write it (raw coordinates)": POSTERIORS["numpyro: naive, float64"],
    }
    return {name: (row[-2], row[-1]) for name, row in chosen.items()}


QUOTED = {
    "README.md": [
        f"On {EVIDENCE['studies']} public sweeps of {EVIDENCE['families']} families",
        f"90 % intervals contained {percent(IN_USE['loss 90'])} of the losses of runs with up to "
        f"{EVIDENCE['times'][-1]:.0f} times the compute, but only {percent(EVIDENCE['worst_90'])} in the worst family "
        f"and {SWEEPS[0][1]} % in the worst sweep.",
        f"They contained {percent(IN_USE['size 90'])} of the best model sizes: at least "
        f"{percent(min(EVIDENCE['size_90'][:2]))} up to {EVIDENCE['times'][1]:.0f} times the compute, "
        f"{percent(EVIDENCE['size_90'][2])} at {EVIDENCE['times'][2]:.0f} times.",
        f"of all isoFLOP minima they contained {MINIMA} %.",
        f"with `--cluster`, intervals contained {CURVES} % of its losses.",
        f"The law alone, without the discrepancy, contained {percent(LAW['loss 90'])} of the losses",
        f"takes about {round(FIRST, -1):.0f} s, most of it compilation; later ones take about {LATER:.0f} s",
    ],
    "docs/index.md": [
        f"On {EVIDENCE['studies']} public sweeps its nominal 90 % intervals contained {percent(LAW['loss 90'])} of the "
        f"losses of larger runs; with discrepancy they contain {percent(IN_USE['loss 90'])}.",
        f"In the worst of {EVIDENCE['families']} families, 90 % intervals with discrepancy contained "
        f"{percent(EVIDENCE['worst_90'])} of the losses.",
    ],
    "docs/tutorial/five_minutes.md": [
        f"tested is {EVIDENCE['times'][-1]:.0f} times the compute",
        f"the four command lines of the README take {NEWCOMER[0]:.0f} to {NEWCOMER[-1]:.0f} CPU seconds",
    ],
    "docs/explanation/intervals.md": [
        f"Each of {EVIDENCE['studies']} public sweeps was cut at 1/3, 1/10 and 1/{EVIDENCE['times'][-1]:.0f}",
        f"unlike all {EVIDENCE['families']} families",
        f"Extrapolation beyond {EVIDENCE['times'][-1]:.0f} times",
        f"In the worst family, `{EVIDENCE['worst_family']}`, rows are checkpoints",
        f"90 % intervals contain {CURVES} % of that family's losses",
        f"contain {percent(IN_USE['size 90'])}, because two of the six families",
        f"They contain {MINIMA} % of all minima",
    ],
    "docs/explanation/coming_from.md": [
        f"a Huber bootstrap's 90 % intervals contained {percent(HUBER['size'])} of the best sizes of larger runs, and "
        f"its CRPS of ln N_opt was {HUBER['crps']:.3f}; with discrepancy the figures are {percent(IN_USE['size 90'])} "
        f"and {IN_USE['size crps']:.3f}. Of the losses it contained {percent(HUBER['loss'])}, against "
        f"{percent(IN_USE['loss 90'])}",
        f"contained the truth in {APPROACH_2} % of 20 tables when alpha was three times beta",
        *(f"| {ours} | {PEERS[theirs][3]:.0f} | {PEERS[theirs][0]:.6f} |" for ours, theirs in (
            ("`chinchilla` 0.2.0 as its README has it, 3,125 starts", "chinchilla: as its README"),
            ("`chinchilla` 0.2.0, `log_huber`, 4,500 starts", "chinchilla: log_huber"),
            ("SciPy as published, 4,500 starts", "scipy: 4,500 starts"),
        )),
        f"| scalefit, `sf.Huber()` | {PEERS['scalefit: Huber'][3]:.2f} | {PEERS['scalefit: Huber'][0]:.6f} |",
    ],
    "docs/decisions/marginal_discrepancy.md": [
        f"On {EVIDENCE['studies']} public sweeps its nominal 90 % intervals contained {percent(LAW['loss 90'])} of the "
        f"losses of larger runs. With discrepancy they contained {percent(IN_USE['loss 90'])}",
        f"learned on {EVIDENCE['families']} families",
        f"LogStudentT(8, ln {LEARNED['discrepancy']['exponent'][0]}, {LEARNED['discrepancy']['exponent'][1]})",
    ],
    "docs/decisions/importance_sampling.md": [
        f"| importance sampling, with health | {samplers()['scalefit, default, with its health checks'][0]:.2g} |",
        f"| NUTS whitened at the mode | {samplers()['scalefit, NUTS whitened at the mode'][0]:.2g} |",
        f"| NumPyro as a user would write it | {POSTERIORS['numpyro: naive, float64'][-2]:.0f} |",
    ],
    "docs/decisions/ahead_of_time_cache.md": [
        f"takes {FIRST:.0f} s the first time ever and {LATER + 1e-9:.1f} s afterwards",
    ],
    "docs/decisions/sbc_bands.md": [
        f"leaves the band at p = {WRONG['p']:.0e}",
        f"take {THOUSANDS['seconds']} CPU seconds and stay {THOUSANDS['verdict']}",
    ],
    "docs/how-to/sweep_health.md": [
        f"missed at most {sorted(faults('misses'))[-2]} of 20 tables of each fault but one, and gave "
        f"{faults('false alarms')[0]} false alarms in 100 tables",
        f"contained the size in {of_kaplan(0)} of 42 cases and the loss in {of_kaplan(1)} of 42",
        f"Of 100 tables that were simulated with a discrepancy, {faults('false alarms')[1]} had one.",
        re.search(r"Of 27 public sweeps \d+ are ok", text("benchmarks/results/health.md"))[0],
    ],
    "docs/how-to/many_fits.md": [
        f"| {POSTERIORS['scalefit: default (AIS)'][-2]:.2f} CPU s |",
        f"| the same | {SPEED['many'][1][0][5]:.0f} ms of CPU |",
        f"| one NVIDIA H100 | {H100['nvidia-h100-80gb-hbm3', 'float32', '1000000'][1]:.0f} s |",
        f"| one NVIDIA H200 | {H200['nvidia-h200', 'float32', '1000000'][1]:.0f} s |",
        f"| one NVIDIA H200 | {10 * H200['nvidia-h200', 'float32', '512 together, of one design'][2]:.1f} s |",
    ],
    "docs/reference/faq.md": [
        f"At nominal 90 % it contained {percent(LAW['loss 90'])} of the losses of larger runs, on "
        f"{EVIDENCE['studies']} public sweeps",
        f"The first fit takes {round(FIRST, -1):.0f} seconds",
    ],
    "CHANGELOG.md": [
        f"{COUNTS[len(Law.registry)]} scaling laws",
        f"{COUNTS[len(FORMATS)]} formats",
        f"{COUNTS[len(CATALOGUE)]} tables",
        f"for {len(ARCHITECTURES)} published architectures and {COUNTS[len(RULES)]} published rules",
    ],
}  # fmt: skip


def test_the_share_in_every_answer_by_the_law_alone_is_that_of_its_file():
    assert LAW_ONLY_COVERAGE.startswith(f"On {EVIDENCE['studies']} public sweeps, nominal 90% intervals")
    assert f" {LAW['loss 90']:.0%} of the losses" in LAW_ONLY_COVERAGE


@pytest.mark.parametrize("page", QUOTED)
def test_a_figure_of_a_page_is_that_of_its_file(page):
    read = text(page)
    assert not [sentence for sentence in QUOTED[page] if sentence not in read]


def test_the_table_of_samplers_is_that_of_its_files():
    page = (ROOT / "docs/explanation/coming_from.md").read_text()
    for name, figures in samplers().items():
        quoted = re.search(rf"^\| {re.escape(name)} \| (.*) \|$", page, flags=re.MULTILINE)[1].split(" | ")
        assert [float(each.replace(",", "")) for each in quoted] == pytest.approx(figures, rel=0.07), name


@pytest.mark.parametrize("page", ["README.md", "docs/index.md", "docs/reference/faq.md"])
def test_no_share_is_quoted_that_no_file_has(page):
    """Every share in prose but the nominal one stands in a sentence that is checked."""
    left = re.sub(r"```.*?```", "", text(page))
    for sentence in QUOTED[page]:
        left = left.replace(sentence, "")
    assert set(re.findall(r"(\d+) ?%", left.replace("40%", ""))) <= {"90"}
