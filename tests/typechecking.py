"""How the shapes in signatures are checked while the tests run: jaxtyping's import hook over beartype."""

from typing import Any, Self

from beartype import BeartypeConf, FrozenDict, beartype

# An int serves where a float is meant; `Self` cannot be checked by a decorator.
CONF = BeartypeConf(hint_overrides=FrozenDict({Self: Any}), is_pep484_tower=True)


def check(function: Any) -> Any:
    """Decorate a function so that its arguments and result are checked at each call.

    But for constructors: JAX makes trees of what it maps over, axes and shapes too, and options that cannot be are
    refused by the class itself, in a sentence that tests read.
    """
    return function if function.__name__ == "__init__" else beartype(function, conf=CONF)
