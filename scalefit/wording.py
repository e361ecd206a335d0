"""Results in plain words: every number with its interval, every extrapolation with its caution."""

from collections.abc import Callable

import numpy as np

from scalefit._numerics import interval
from scalefit.check import Backtest, LawComparison
from scalefit.check.scores import inside
from scalefit.discrepancy import LEARNED, Card
from scalefit.frontier import Frontier, beyond
from scalefit.health import Health
from scalefit.units import format_count, format_flops, percent

COVERAGE_FOUND = (
    "the law's own error is not in it: on held-out public sweeps, nominal 90% intervals of this kind held about a "
    "third of the larger runs"
)


def ratio(value: float) -> str:
    """A factor with two digits and no exponent: 44.5 -> "44", 1234 -> "1200"; with three near one: "1.01"."""
    digits = 3 if 0.95 < value < 1.05 else 2
    return f"{float(f'{value:.{digits}g}'):.10g}"


def health_sentence(health: Health) -> str:
    """The verdict that is not ok and the reason for it, without the advice; empty where all is well.

    Of several the last: checks of the table, which come after those of the draws, say what those suffer from.
    """
    if not health.doubts:
        return ""
    *_, worst = (check for check in health.doubts if check.verdict == health.verdict)
    rely = "do not rely on this answer" if worst.verdict == "fail" else "rely on this answer with care"
    return f"The fit's health is {worst.verdict}, so {rely}; {worst.name}: {worst.sentence.split(';')[0]}."


def caution(flops: float, compute_range: tuple[float, float], kind: str = "mean", card: Card | None = LEARNED) -> str:
    """How far a budget lies beyond the data, and what an interval of `kind` is worth there; empty inside the data.

    card : of the scales of the law's error, where it is known.
    """
    smallest, largest = compute_range
    if not beyond(flops, compute_range):
        return ""
    times, end = (
        (ratio(flops / largest), "largest") if flops > largest else (f"1/{ratio(smallest / flops)}", "smallest")
    )
    return (
        f"{format_flops(flops)} FLOP is {times} times the compute of the {end} run: an extrapolation. "
        f"{_carried(kind, card, flops / largest)}."
    )


def _carried(kind: str, card: Card | None, times: float) -> str:
    """What an interval holds, and what intervals of its kind were worth at that distance, or the furthest known."""
    if times < 1 and not kind.startswith("stacked"):
        held = "parameter uncertainty only" if kind == "mean" else "the law's own error too"
        return f"Its interval carries {held}; no held-out sweep tested predictions to smaller runs"
    if kind == "mean":
        return f"Its interval carries parameter uncertainty only; {COVERAGE_FOUND}"
    if kind.startswith("stacked"):
        own = "and each law's own error" if kind == "stacked form" else "but no error that they share"
        return f"Its interval carries uncertainty over parameters and over the laws compared, {own}"
    if card is None:
        return "Its interval carries the law's own error too, on scales that no held-out sweep has tested here"
    index = min(int(np.searchsorted(card.times, times)), len(card.times) - 1)
    further = f"; {ratio(times)} times is further than any of them" if times > 1.01 * card.times[-1] else ""
    return (
        f"Its interval carries the law's own error too: in {card.studies} public sweeps, of runs with up to "
        f"{ratio(card.times[index])} times the compute, nominal 90% intervals of this kind held "
        f"{card.loss_90[index]:.0%} of the losses and {card.size_90[index]:.0%} of the best sizes{further}"
    )


def loss_caution(loss: float, seen: np.ndarray) -> str:
    """Whether a task loss lies outside the table, and what that means; empty inside it."""
    if seen.min() <= loss <= seen.max():
        return ""
    side, end = ("below", seen.min()) if loss < seen.min() else ("above", seen.max())
    return (
        f"A task loss of {loss:g} lies {side} the table's {end:.4g}: an extrapolation. Its interval takes the curve's "
        f"form for granted, and its ceiling is then mostly the prior's."
    )


def optimum_sentence(front: Frontier, index: int, prob: float) -> str:
    """The optimum at one budget of a frontier, with intervals."""
    n, d, per, loss = (
        interval(getattr(front, name)[:, index], prob) for name in ("params", "tokens", "tokens_per_param", "loss")
    )
    return (
        f"At {format_flops(front.flops[index])} FLOP the optimum is {ranged(n, format_count)} parameters on "
        f"{ranged(d, format_count)} tokens, {ranged(per, '{:.1f}'.format)} tokens per parameter, for a loss of "
        f"{ranged(loss, '{:.3f}'.format)} nats per token (median and {percent(prob)} interval)."
    )


def fit_paragraph(inside: Frontier, further: Frontier | None, prob: float, card: Card | None = LEARNED) -> str:
    """The optimum at budgets inside the data, and at those beyond them, with what that is worth."""
    listed = lambda front: [optimum_sentence(front, index, prob) for index in range(len(front.flops))]
    if further is None:
        ending = ["Larger budgets are extrapolations: ask with --budget, and read its caution."]
    else:
        carried = "With the law's own error, which the table leaves out: " if further.kind == "form" else ""
        first, *others = listed(further)
        ending = [carried + first[0].lower() + first[1:] if carried else first, *others]
        ending.append(caution(further.flops.max(), further.compute_range, further.kind, card))
    return " ".join([*listed(inside), *ending])


def coverage_sentence(result: Backtest, prob: float = 0.9) -> str:
    """What happened to the promise of an interval, method by method."""
    records, kept = result.records, []
    for method in dict.fromkeys(records["method"]):
        chosen = records["method"] == method
        mean_pit = records["pit_mean"][chosen]
        law = "" if np.isnan(mean_pit).any() else f" ({inside(mean_pit, prob).mean():.0%} without noise)"
        kept.append(f"{method} {inside(records['pit_run'][chosen], prob).mean():.0%}{law}")
    furthest = ratio(np.exp(records["distance"].max()))
    return (
        f"Of {len(set(records['row']))} held-out runs, up to {furthest} times the compute of the training runs, "
        f"nominal {percent(prob)} intervals held: {'; '.join(kept)}.{_size_sentence(result, prob)}"
    )


def _size_sentence(result: Backtest, prob: float) -> str:
    """The same of the best sizes; empty where the held-out runs show none."""
    sizes = result.sizes
    methods = dict.fromkeys(sizes["method"])
    if not methods:
        return ""
    kept = [f"{method} {inside(sizes['pit'][sizes['method'] == method], prob).mean():.0%}" for method in methods]
    count = len(set(zip(sizes["split"], sizes["flops"], strict=True)))
    return f" Of {count} isoFLOP minima among them, intervals of N_opt held: {'; '.join(kept)}."


def laws_paragraph(found: LawComparison) -> str:
    """Which law predicted the held-out runs best and by how much, what fits the table best, and whom not to trust."""
    table, records = found.summary(), found.records
    best, by_loo = table.index[0], table["elpd_loo"].idxmax()
    beyond = ratio(np.exp(records["distance"].max()))
    words = [
        f"Of {len(set(records['row']))} held-out runs, up to {beyond} times the compute of the training runs, {best} "
        "gives the best predictions."
    ]
    if len(table) > 1:
        second = table.iloc[1]
        words.append(
            f"{second.name} is {-second['lpd_diff']:.2f} ± {second['lpd_diff_se']:.2f} nats a run behind it. "
            f"By leaving out single runs of the whole table, {by_loo} would come first."
        )
    if failed := [law for law in table.index if table.loc[law, "health"] == "fail"]:
        words.append(f"Health checks fail for {', '.join(failed)}: read them before the numbers.")
    return " ".join([*words, "Weights say nothing of distances beyond those tested."])


def ranged(values: np.ndarray, form: Callable[[float], str]) -> str:
    """Median, lower and upper as "2 [1, 3]"; a point says that it has no interval."""
    if np.isnan(values[1]):
        return f"{form(values[0])} [no interval]"
    return f"{form(values[0])} [{form(values[1])}, {form(values[2])}]"
