"""What can go wrong: each error says in one sentence what happened and what to do next."""


class ScalefitError(Exception):
    """Base of all errors that scalefit raises on purpose."""


class DataError(ScalefitError, ValueError):
    """The table of runs cannot be used as it is."""


class ModelError(ScalefitError, ValueError):
    """The model does not fit together, or does not fit the table."""


class FitError(ScalefitError, ValueError):
    """A fit could not be made, stored or read."""


class PlanError(ScalefitError, ValueError):
    """The question cannot be answered from this fit."""


class DataWarning(UserWarning):
    """The table can be used, but something in it looks like a mistake."""


class FitWarning(UserWarning):
    """The fit can be used, but some of its numbers are rough."""


class NoMinimumError(PlanError):
    """Runs at one budget show no best model size between the smallest and the largest."""


class TooFewRunsError(PlanError):
    """There are fewer than three model sizes at a budget."""
