"""Counted: compute by a counting rule over shapes, where 6 N D is not exact enough."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from math import log
from typing import Any, ClassVar, Self, final

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import register_dataclass

from scalefit.costs.cost import Compute
from scalefit.counting import Shape, family_shapes, flops_per_token
from scalefit.errors import OptionError


@final
@partial(register_dataclass, data_fields=[], meta_fields=["log_params", "log_per_param", "about"])
@dataclass(frozen=True)
class Counted(Compute):
    """FLOP as a counting rule finds them for shapes: exact at the shapes, interpolated in logarithms in between.

    Below the smallest and above the largest shape, FLOP a parameter and token are as there. `Counted.of` makes one.

    Parameters
    ----------
    log_params
        ln N of the shapes, rising.
    log_per_param
        ln of their FLOP a token and parameter.
    about
        The shapes and the rule in words.
    """

    log_params: tuple[float, ...]
    log_per_param: tuple[float, ...]
    about: str
    growth: ClassVar[tuple[float, float]] = (0.0, 1.0)

    @classmethod
    def of(
        cls,
        family: str | Iterable[Shape],
        rule: str = "palm-causal",
        convention: str = "total",
        context: int | None = None,
    ) -> Self:
        """Count the FLOP of shapes.

        Parameters
        ----------
        family
            The name of a family, or shapes of one's own.
        rule
            One of `counting.RULES`.
        convention
            What N counts, one of `counting.CONVENTIONS`.
        context
            Tokens of a sequence; each shape's own by default.

        Returns
        -------
        Counted
            The cost.

        Raises
        ------
        OptionError
            The family, the rule or the convention is unknown, or there are no shapes.
        """
        shapes = family_shapes(family) if isinstance(family, str) else tuple(family)
        if not shapes:
            raise OptionError("there are no shapes to count compute over. Give one shape or more.")
        flops = {shape.count(convention): flops_per_token(shape, rule, context) for shape in shapes}
        knots = sorted((log(n), log(f / n)) for n, f in flops.items())
        name = family if isinstance(family, str) else f"{len(knots)} shapes"
        return cls(tuple(x for x, _ in knots), tuple(y for _, y in knots), f"{name}, {rule}")

    def per_token(self, params: Any) -> Any:
        """FLOP of one token, forward and backward."""
        xp: Any = jnp if isinstance(params, jax.Array) else np
        return params * xp.exp(xp.interp(xp.log(params), xp.array(self.log_params), xp.array(self.log_per_param)))

    def describe(self) -> str:
        """The shapes and the rule in words."""
        return f"C counted over shapes ({self.about})"
