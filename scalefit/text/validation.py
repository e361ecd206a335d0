"""Sentences about validation: coverage on held-out runs, laws compared."""

import numpy as np

from scalefit.text.phrases import ratio
from scalefit.units import percent
from scalefit.validation import Backtest, LawComparison
from scalefit.validation.scores import inside


def coverage_sentence(result: Backtest, prob: float = 0.9) -> str:
    """How often intervals contained the held-out runs, method by method."""
    records, kept = result.records, []
    for method in dict.fromkeys(records["method"]):
        chosen = records["method"] == method
        mean_pit = records["pit_without_noise"][chosen]
        law = "" if np.isnan(mean_pit).any() else f" ({inside(mean_pit, prob).mean():.0%} without noise)"
        kept.append(f"{method} {inside(records['pit'][chosen], prob).mean():.0%}{law}")
    furthest = ratio(np.exp(records["distance"].max()))
    return (
        f"Of {len(set(records['row']))} held-out runs, up to {furthest} times the compute of the training runs, "
        f"nominal {percent(prob)} intervals contained: {'; '.join(kept)}.{_size_sentence(result, prob)}"
    )


def _size_sentence(result: Backtest, prob: float) -> str:
    """The same of the best sizes; empty where the held-out runs show none."""
    sizes = result.sizes
    methods = dict.fromkeys(sizes["method"])
    if not methods:
        return ""
    kept = [f"{method} {inside(sizes['pit'][sizes['method'] == method], prob).mean():.0%}" for method in methods]
    count = len(set(zip(sizes["split"], sizes["flops"], strict=True)))
    return f" Of {count} isoFLOP minima among them, intervals of N_opt contained: {'; '.join(kept)}."


def laws_paragraph(found: LawComparison) -> str:
    """Which law predicted the held-out runs best and by how much, what fits the table best, and whom not to trust."""
    table, records = found.summary(), found.records
    best, by_loo = table.index[0], table["elpd_loo"].idxmax()
    furthest = ratio(np.exp(records["distance"].max()))
    words = [
        f"{best} predicts the {len(set(records['row']))} held-out runs best; they have up to {furthest} times the "
        "compute of "
        "the training runs."
    ]
    if len(table) > 1:
        second = table.iloc[1]
        words.append(
            f"{second.name} is {-second['lpd_diff']:.2f} ± {second['lpd_diff_se']:.2f} nats a run behind it. "
            f"Leave-one-out cross-validation prefers {by_loo}."
        )
    if failed := [law for law in table.index if table.loc[law, "health"] == "fail"]:
        words.append(f"Health checks fail for {', '.join(failed)}. Read them before the numbers.")
    return " ".join([*words, "Weights are not tested beyond these distances."])
