"""Comparisons that have no fit of their own to plan with: two runs, or recipes beside a baseline."""

from scalefit._quantities import loss_units, quantity, ranged, write
from scalefit.planning import RunComparison
from scalefit.recipes.comparison import RecipeComparison, gain_interval
from scalefit.reports.answer import PROB, in_words
from scalefit.reports.comparison import Comparison
from scalefit.text.plans import run_comparison_paragraph
from scalefit.units import chance


def of_runs(found: RunComparison) -> Comparison:
    """The comparison of two runs: its sentence, and its quantities."""
    rows = []
    units = loss_units(found.assumptions.loss_unit)
    for name, values in {**found.draws, "difference_one_run": found.observed_difference}.items():
        known = quantity(name, units.get(name))
        rows.append([name, known.meaning, *in_words(values)])
    sentence = run_comparison_paragraph(found, PROB)
    return Comparison(sentence, "", ["quantity", "meaning", "median", "interval"], rows)


def of_recipes(found: RecipeComparison) -> Comparison:
    """The comparison of recipes: its sentence, and a row a recipe, the likeliest best first."""
    best = {name: share[0] for name, share in found.chance_of_rank.items()}
    rows = []
    for name in sorted(found.recipes, key=lambda name: -best[name]):
        each = found.recipes[name]
        gain = ranged(gain_interval(each.draws["gain"], PROB), write)
        chances = [chance(value) for value in (each.chance, best[name])]
        rows.append([name, str(each.runs), gain, *chances, each.verdict, found.health[name]])
    header = ["recipe", "runs", "compute-equivalent gain", "P(gain > 1)", "P(best)", "verdict", "health"]
    return Comparison(found.headline(), "", header, rows)
