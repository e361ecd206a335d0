"""Several recipes, one law: what a recipe changes, by what factor of compute, and how sure that is."""

from scalefit.recipes._terms import Differences
from scalefit.recipes.compare_recipes import compare_recipes
from scalefit.recipes.comparison import RecipeComparison, RecipeGain
from scalefit.recipes.fit_recipes import RecipeFits, fit_recipes

__all__ = ["Differences", "RecipeComparison", "RecipeFits", "RecipeGain", "compare_recipes", "fit_recipes"]
