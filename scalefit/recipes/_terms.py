"""How recipes of one law differ: a run of a recipe counts for other N and D, with another floor or other exponents.

References
----------
Volkova et al. 2026, arXiv 2602.07712: multipliers of N and D beside a shared law.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from scalefit.errors import OptionError
from scalefit.laws import Law
from scalefit.model.data import Theta

Floor = Literal["shared", "pooled", "free"]
Exponents = Literal["shared", "pooled"]
EXPONENTS = ("alpha", "beta")


@dataclass(frozen=True)
class Differences:
    """Prior scales of what sets a recipe apart from the baseline; the defaults were learned by benchmarks/recipes.py.

    Parameters
    ----------
    multiplier
        Standard deviation of ln of the multipliers of N and of D.
    floor, free_floor
        That of ln of the ratio of the floors E, where they are pooled, and where they are free.
    exponent
        That of ln of the ratios of the exponents, where they are pooled.
    level
        That of ln of a factor on the whole loss, where floors are free: losses on other data are of another size.
    own
        Scales of each recipe's own discrepancy that are weighed against each other, as shares of the shared one's, or
        of what that would be if it went on for four e-folds of compute only.
    probability
        Prior probability of each of them, or None for the same of all.

    Raises
    ------
    OptionError
        A scale is not positive, or the probabilities are not those of the shares.
    """

    multiplier: float = 0.15
    floor: float = 0.03
    free_floor: float = 0.3
    exponent: float = 0.1
    level: float = 0.3
    own: tuple[float, ...] = (0.4, 1.0)
    probability: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        scales = (self.multiplier, self.floor, self.free_floor, self.exponent, self.level, *self.own)
        if not self.own or not all(0 < scale < np.inf for scale in scales):
            raise OptionError(f"{self}: every scale of a difference between recipes is positive.")
        if len(self.probabilities) != len(self.own) or not np.isclose(sum(self.probabilities), 1):
            raise OptionError("the probabilities of the recipes' own discrepancy are one for each share, and sum to 1.")

    @property
    def probabilities(self) -> tuple[float, ...]:
        """Of all shares."""
        return self.probability or (1 / len(self.own),) * len(self.own)


@dataclass(frozen=True)
class Terms:
    """The parameters of a difference, each zero for the baseline and normal around zero for other recipes.

    Parameters
    ----------
    names
        Of "params" and "tokens", ln of their multipliers; "E", "alpha" and "beta", ln of the ratio to the baseline's;
        and "level", ln of a factor on the loss.
    sd
        Prior standard deviation of each.
    """

    names: tuple[str, ...]
    sd: tuple[float, ...]

    @classmethod
    def of(cls, law: Law, differences: Differences, floor: str, exponents: str) -> "Terms":
        """Those of a law.

        Raises
        ------
        OptionError
            An option is unknown, or the law has no alpha and beta that could differ.
        """
        for name, value, known in (("floor", floor, Floor), ("exponents", exponents, Exponents)):
            if value not in known.__args__:  # type: ignore[attr-defined]
                choices = ", ".join(known.__args__)  # type: ignore[attr-defined]
                raise OptionError(f"{name}={value!r} is unknown. Choose from {choices}.")
        scales = {"params": differences.multiplier, "tokens": differences.multiplier}
        params = {p.name for p in law.params()}
        if "E" in params and floor != "shared":
            scales["E"] = differences.floor if floor == "pooled" else differences.free_floor
        if exponents == "pooled":
            if not set(EXPONENTS) <= params:
                raise OptionError(f"the {law.name} law has no alpha and beta. Use exponents='shared'.")
            scales |= dict.fromkeys(EXPONENTS, differences.exponent)
        if floor == "free":
            scales["level"] = differences.level
        return cls(tuple(scales), tuple(scales.values()))

    def parameters(self, theta: Theta, delta: Mapping[str, Any]) -> Theta:
        """The law's parameters of a recipe, unit-free, before its multipliers."""
        changed = {name: theta[name] * jnp.exp(delta[name]) for name in ("E", *EXPONENTS) if name in delta}
        return {**theta, **changed}

    def log_loss(
        self, law: Law, theta: Theta, x: Mapping[str, Float[Array, ""]], delta: Float[Array, " term"]
    ) -> Float[Array, ""]:
        """ln loss of one run of a recipe, by the law; unit-free."""
        by_name = dict(zip(self.names, delta, strict=True))
        counted = {name: value * jnp.exp(by_name.get(_counts_as(law, name), 0.0)) for name, value in x.items()}
        return jnp.log(law.loss(self.parameters(theta, by_name), counted)) + by_name.get("level", 0.0)

    def to_raw(
        self, law: Law, theta: Theta, unit: Mapping[str, float], delta: Float[np.ndarray, "draw term"]
    ) -> dict[str, np.ndarray]:
        """Raw parameters of the law of a recipe, draw by draw, from unit-free ones of the baseline."""
        by_name = dict(zip(self.names, np.asarray(delta).T, strict=True))
        own = {name: value * np.exp(-by_name.get(_counts_as(law, name), 0.0)) for name, value in unit.items()}
        own["loss"] = unit["loss"] * np.exp(by_name.get("level", 0.0))
        changed = {name: theta[name] * np.exp(by_name[name]) for name in ("E", *EXPONENTS) if name in by_name}
        found = law.rescale({**theta, **changed}, own)
        return {name: np.asarray(value, dtype=float) for name, value in found.items()}

    def without(self, *names: str) -> "Terms":
        """The same with those terms all but zero."""
        return replace(self, sd=tuple(1e-6 if n in names else s for n, s in zip(self.names, self.sd, strict=True)))


def _counts_as(law: Law, name: str) -> str:
    """The input whose multiplier an input has: unique tokens count as tokens do."""
    return law.same_unit.get(name, name)
