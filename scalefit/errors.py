"""What can go wrong, by whose fault it is: each error says in one sentence what happened and what to do next."""

from collections.abc import Iterable

LONGEST = 2000  # characters of a sentence; what a table has in it can be of any length


class ScalefitError(Exception):
    """Base of all errors that scalefit raises on purpose."""

    def __init__(self, *words: object) -> None:
        super().__init__(*(shortened(word) if isinstance(word, str) else word for word in words))


def shortened(text: str, longest: int = LONGEST) -> str:
    """A text of at most so many characters; a longer one loses its middle."""
    if len(text) <= longest:
        return text
    end = min(300, longest // 3)
    return f"{text[: longest - end - 5]} ... {text[-end:]}"


def quoted(name: object, longest: int = 60) -> str:
    """A name of a table in quotes, shortened."""
    return repr(shortened(str(name), longest))


def listed(names: Iterable[object], most: int = 10) -> str:
    """Names of a table, the first of them where there are many."""
    names = list(names)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(shortened(str(name), 60) for name in names[:most]) + more


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
