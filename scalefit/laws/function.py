"""A law from a function: five lines in a notebook."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, final

from scalefit.errors import OptionError
from scalefit.laws._law import Law, Losses, Published
from scalefit.laws._priors import Param, Prior, Values


@final
@dataclass(frozen=True)
class FunctionLaw(Law, listed=False):
    """Any loss, as a function of parameters and one run's inputs, both by name, written in `jax.numpy`.

    Two laws are equal if their functions are the same object. Such a fit cannot be saved: write the law as a file
    for that. A folder of `fit_many` knows it by what it computes, and is taken up again by the same call.

    Parameters
    ----------
    fn
        (theta, x) to the loss in nats per token.
    inputs
        The columns it reads.
    priors
        Parameter to `Prior` or scalar NumPyro distribution, in the units of the table: nothing is centred, since how
        the function rescales is not known.

    Raises
    ------
    OptionError
        There are no inputs or no priors.

    Examples
    --------
    >>> law = sf.laws.FunctionLaw(
    ...     lambda t, x: t["E"] + t["A"] * x["params"] ** -t["alpha"],
    ...     inputs=("params",),
    ...     priors={"E": dist.LogNormal(0, 1), "A": dist.LogNormal(6, 2), "alpha": dist.LogNormal(-1, 0.5)},
    ... )
    """

    fn: Callable[[Values, Values], Any]
    inputs: tuple[str, ...] = ()
    priors: Any = ()

    name: ClassVar[str] = "function"
    equation: ClassVar[str] = "L = fn(theta, x)"

    def __post_init__(self) -> None:
        if not self.inputs or not self.priors:
            raise OptionError("a FunctionLaw needs inputs=('params', ...) and priors={'E': ..., ...}.")
        given = self.priors.items() if isinstance(self.priors, Mapping) else self.priors
        priors = tuple((k, v if isinstance(v, Prior) else Prior.from_numpyro(v)) for k, v in given)
        object.__setattr__(self, "priors", priors)
        object.__setattr__(self, "inputs", tuple(self.inputs))
        object.__setattr__(self, "pure", (*self.inputs, "loss"))

    def params(self) -> tuple[Param, ...]:
        """One for each prior."""
        return tuple(Param(name, prior, "a parameter of the function", "raw") for name, prior in self.priors)

    def loss(self, theta: Values, x: Values) -> Losses:
        """fn(theta, x)."""
        return self.fn(theta, x)

    def rescale(self, theta: Values, unit: Values) -> dict[str, Any]:
        """The same: every input is a pure number."""
        return dict(theta)

    def derived(self, theta: Values) -> dict[str, Any]:
        """None."""
        return {}

    def reference(self) -> tuple[Published, ...]:
        """None."""
        return ()
