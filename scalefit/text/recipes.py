"""Sentences about recipes beside a baseline: the gain, what it rests on, the verdict, and what would settle it."""

from scalefit._quantities import ranged, ratio
from scalefit.planning.least_budgets import LIKELY
from scalefit.recipes import RecipeComparison
from scalefit.recipes.comparison import RecipeGain, factor, gain_interval
from scalefit.units import chance, format_count, format_flops, percent

LEFT_OUT_90 = 0.91  # benchmarks/results/recipes.md


def recipes_paragraph(found: RecipeComparison, prob: float) -> str:
    """The answer, then what each number rests on."""
    name = found.winner if len(found.recipes) > 1 else next(iter(found.recipes))
    words = [found.headline(prob)]
    if name in found.recipes:
        words += [equivalents_sentence(found, name, prob), prior_sentence(found[name])]
    if len(found.recipes) == 1:
        words.append(verdict_sentence(found, name))
    else:
        words.append(ranking_sentence(found))
    words.append(learned_sentence(found))
    return " ".join(filter(None, words))


def learned_sentence(found: RecipeComparison) -> str:
    """What the scales of differences were learned from, and how intervals did where that was left out."""
    if not found.learned:
        return ""
    return (
        "How recipes differ was learned from 24 pairs of training recipes on two public corpora; with either left out, "
        f"nominal 90% intervals of the difference at 3 to 10 times the compute contained {LEFT_OUT_90:.0%}."
    )


def equivalents_sentence(found: RecipeComparison, name: str, prob: float) -> str:
    """The gain in tokens and in parameters."""
    tokens, params = (factor(gain_interval(found[name].draws[key], prob)) for key in ("token_gain", "param_gain"))
    return f"At the optimum of {found.baseline} that is {tokens} times the tokens, or {params} times the parameters."


def prior_sentence(gain: RecipeGain) -> str:
    """How much of the interval was there before the recipe's first run."""
    share, only = percent(round(gain.share_of_prior, 2)), gain.runs == 1
    first = f"the {'only run' if only else f'first of {gain.runs} runs'} of {gain.name}"
    return f"The interval is {share} as wide as before {first}, when it was {factor(gain_interval(gain.unseen, 0.9))}."


def verdict_sentence(found: RecipeComparison, name: str) -> str:
    """The rule, and the run that would settle an open question."""
    gain = found[name]
    rule = (
        f"P(gain > {gain.threshold:g}) is {chance(gain.chance_of_threshold)}; the verdict is promote from "
        f"{percent(gain.sure)} and hold up to {percent(round(1 - gain.sure, 6))}."
    )
    run = gain.settled_by
    if run is None:
        return rule
    size = (
        f"{format_count(run.params)} parameters on {format_count(run.tokens)} tokens ({format_flops(run.flops)} FLOP)"
    )
    if run.settles < LIKELY:
        return (
            f"{rule} No single run of {name} up to a third of the budget is likely to settle it; the likeliest is one "
            f"of {size}, with probability {chance(run.settles)}."
        )
    return f"{rule} Run {name} with {size}: with probability {chance(run.settles)} that settles it."


def ranking_sentence(found: RecipeComparison) -> str:
    """How sure the ranking is, and why its winner needs no correction."""
    verdicts = {word: [n for n, each in found.recipes.items() if each.verdict == word] for word in ("promote", "hold")}
    said = [f"{word}: {', '.join(names)}" for word, names in verdicts.items() if names]
    rest = len(found.recipes) - sum(map(len, verdicts.values()))
    verdict = "; ".join([*said, f"run more: {rest}"] if rest else said)
    spread = found.shortfall
    return (
        f"Verdicts are {verdict}. {found.winner} falls short of the truly best by {spread:.2g} in expected loss. Gains "
        f"are shrunk towards 1 by what recipes gained elsewhere, so that the largest of {len(found.recipes)} is no "
        "winner of chance alone (the winner's curse)."
    )


def gain_cell(gain: RecipeGain, name: str, prob: float) -> str:
    """A factor over its interval, for a table."""
    form = lambda value: "∞" if value == float("inf") else ratio(float(value))
    return ranged(gain_interval(gain.draws[name], prob), form)
