"""How the shapes in signatures are checked while the tests run: jaxtyping's import hook over beartype."""

from typing import Any, Self

from beartype import BeartypeConf, FrozenDict, beartype

# An int serves where a float is meant; `Self` cannot be checked by a decorator.
CONF = BeartypeConf(hint_overrides=FrozenDict({Self: Any}), is_pep484_tower=True)


def check(function: Any) -> Any:
    """Decorate a function so that its arguments and result are checked at each call."""
    return beartype(function, conf=CONF)
