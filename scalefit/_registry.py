"""Look-up by name, the same everywhere: a typing error is answered with the names that come close."""

from collections.abc import Mapping
from typing import TypeVar

from scalefit.errors import OptionError

T = TypeVar("T")
SUGGESTIONS = 3


def lookup(name: object, known: Mapping[str, T], what: str, *, loose: bool = False, remedy: str = "") -> T:
    """The value that is registered under a name.

    Parameters
    ----------
    name
        What the user wrote.
    known
        Every name there is, in the order in which an error lists them, with its value.
    what
        What is looked up, a noun for the error: "law", "engine".
    loose
        Whether case, spaces, hyphens and underscores do not matter.
    remedy
        What else the user could do, an imperative for the error: "give 70B:1.4T".

    Returns
    -------
    T
        The value of that name.

    Raises
    ------
    OptionError
        The name is unknown. The sentence suggests the names close to it, or lists them all where none is.
    """
    if isinstance(name, str):
        if name in known:
            return known[name]
        if loose:
            for other, value in known.items():
                if _plain(other) == _plain(name):
                    return value
    if close := _close_matches(str(name), known):
        *others, last = close
        advice = f"did you mean {', '.join(others)} or {last}?" if others else f"did you mean {last}?"
        raise OptionError(f"there is no {what} {name!r}; {f'{remedy}, or ' if remedy else ''}{advice}")
    names = ", ".join(known)
    raise OptionError(f"there is no {what} {name!r}; {f'{remedy}, or ' if remedy else ''}choose from {names}.")


def _plain(name: str) -> str:
    return "".join(letter for letter in name.casefold() if letter not in " -_")


def _close_matches(name: str, known: Mapping[str, object]) -> list[str]:
    from difflib import get_close_matches  # errors alone pay for it

    spelled = {_plain(other): other for other in known}
    return [spelled[found] for found in get_close_matches(_plain(name), spelled, n=SUGGESTIONS)]
