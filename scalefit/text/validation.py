"""Sentences about validation: coverage on held-out runs, laws compared."""

from scalefit.validation import Backtest, LawComparison
from scalefit.validation.scores import inside


def coverage_sentence(result: Backtest, prob: float = 0.9) -> str:
    """How often intervals contained the held-out losses, and the best sizes where the held-out runs show them."""
    sizes, kept = result.sizes, []
    for name in result.predictors:
        if (mine := result.chosen(name, sizes)).any():
            kept.append(f"{inside(sizes['pit'][mine], prob).mean():.0%} ({name})")
    if not kept:
        return result.headline(prob)
    count = len(set(zip(sizes["split"], sizes["flops"], strict=True)))
    return f"{result.headline(prob)} Those of N_opt contained {', '.join(kept)} of {count} isoFLOP minima."


def laws_paragraph(found: LawComparison) -> str:
    """Which law predicted the held-out runs best and by how much, what fits the table best, and whom not to trust."""
    table = found.summary()
    words = [found.headline()]
    if len(table) > 1:
        second = table.iloc[1]
        words.append(
            f"{second.name} is {-second['lpd_diff']:.2f} ± {second['lpd_diff_se']:.2f} nats a run behind it. "
            f"Leave-one-out cross-validation prefers {table['elpd_loo'].idxmax()}."
        )
    if failed := [law for law in table.index if table.loc[law, "health"] == "fail"]:
        words.append(f"Health checks fail for {', '.join(failed)}. Read them before the numbers.")
    return " ".join([*words, "Weights are not tested beyond these distances."])
