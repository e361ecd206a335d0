"""What can go wrong, by whose fault it is: each error says in one sentence what happened and what to do next."""


class ScalefitError(Exception):
    """Base of all errors that scalefit raises on purpose."""


class DataError(ScalefitError, ValueError):
    """A table cannot be used as it is: a column, a row or a value is wrong."""


class OptionError(ScalefitError, ValueError):
    """An argument or option is not one of those there are, or options contradict each other."""


class FitError(ScalefitError, ValueError):
    """A fit could not be made from a good table with good options."""


class StorageError(ScalefitError, ValueError):
    """A file or folder cannot be written, cannot be read, or does not hold what it should."""


class QuestionError(ScalefitError, ValueError):
    """A question has no answer under this fit: a budget, target or limit that no run meets."""


class NoMinimumError(DataError):
    """Runs at one budget show no best model size between the smallest and the largest."""


class TooFewRunsError(DataError):
    """There are fewer than three model sizes at a budget."""


class DataWarning(UserWarning):
    """A table can be used, but something in it looks like a mistake."""


class FitWarning(UserWarning):
    """A fit can be used, but some of its numbers are rough."""
