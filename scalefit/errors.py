"""What can go wrong, by whose fault it is: each error says in one sentence what happened and what to do next."""


class ScalefitError(Exception):
    """Base of all errors that scalefit raises on purpose."""


class DataError(ScalefitError, ValueError):
    """A table cannot be used as it is: a column, a row or a value is wrong."""


class OptionError(ScalefitError, ValueError):
    """An argument or option is unknown or out of range, or options contradict each other."""


class FitError(ScalefitError, ValueError):
    """A fit could not be made from a good table with good options."""


class StorageError(ScalefitError, ValueError):
    """A file or folder cannot be written, cannot be read, or has other contents than it should."""


class QuestionError(ScalefitError, ValueError):
    """A question has no answer under this fit: a budget, target or limit that no run meets."""


class NoMinimumError(DataError):
    """The best model size at one budget is not between the smallest and the largest size of its runs."""


class TooFewRunsError(DataError):
    """A budget has runs of fewer than three model sizes."""


class DataWarning(UserWarning):
    """A table can be used, but something in it looks like a mistake."""


class FitWarning(UserWarning):
    """A fit can be used, but some of its numbers are rough."""
