"""What a run's log loss does around the law: Student-t by default, because real tables have outliers."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, final

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from scalefit._registry import lookup
from scalefit.laws import Param, Prior, Values

if TYPE_CHECKING:
    from numpyro.distributions import Distribution


class Noise(ABC):
    """The distribution of ln loss around the law's ln loss. A frozen dataclass, registered by `name`."""

    name: ClassVar[str]
    registry: ClassVar[dict[str, type["Noise"]]] = {}

    def __init_subclass__(cls, registered: bool = True, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if registered:
            Noise.registry[cls.name] = cls

    @abstractmethod
    def params(self) -> tuple[Param, ...]:
        """The noise's own parameters."""

    @abstractmethod
    def distribution(self, theta: Values, log_loss: Any) -> "Distribution":
        """NumPyro distribution of the observed ln loss, given the law's."""

    @abstractmethod
    def log_density(self, theta: Values, r: Float[Array, "*run"]) -> Float[Array, "*run"]:
        """ln density of ln residuals: that of `distribution`, without its constants computed for every run."""

    @abstractmethod
    def sample(
        self, theta: Values, log_loss: Float[np.ndarray, " draw *run"], rng: np.random.Generator
    ) -> Float[np.ndarray, " draw *run"]:
        """ln loss as observed, by NumPy, without compiling.

        Parameters
        ----------
        theta
            The noise's parameters, each (draw,).
        log_loss
            The law's.
        rng
            Where randomness comes from.
        """

    @abstractmethod
    def guess(self, size: Any) -> dict[str, Any]:
        """Parameters to start a search from, where ln residuals have the mean absolute value `size`."""


def once(peak: Float[Array, "*run"]) -> Float[Array, "*run"]:
    """ln density at zero; the compiler is kept from repeating it for every run."""
    return jax.lax.optimization_barrier(peak)


UP = 16  # steps after which the series below is exact to rounding
# Seeds of one run differ by 1e-3 and more; without a floor, a law through a few runs exactly has an endless density.
LEAST_SIGMA = 1e-5
LEAST_NU = 1.0  # Cauchy's tails; with heavier ones draws of a loss leave the range of numbers
SCALE = Param("sigma", Prior("HalfNormal", (("scale", 0.05),), LEAST_SIGMA), "scale of the noise on ln loss")
GAMMA = Prior("Gamma", (("concentration", 2.0), ("rate", 0.1)), LEAST_NU)
TAILS = Param("nu", GAMMA, "degrees of freedom: small is heavy-tailed")


@final
@dataclass(frozen=True)
class StudentT(Noise):
    """Heavy-tailed noise: a few runs may lie far off without moving the law."""

    name: ClassVar[str] = "student-t"

    def params(self) -> tuple[Param, ...]:
        """sigma, nu; nu ~ Gamma(2, 0.1) above 1, as Juárez and Steel 2010 (J. Bus. Econ. Stat. 28, 52) advise."""
        return (SCALE, TAILS)

    def distribution(self, theta: Values, log_loss: Any) -> "Distribution":
        """ln L ~ t(nu, ln law, sigma)."""
        from numpyro import distributions

        return distributions.StudentT(theta["nu"], log_loss, theta["sigma"])

    def log_density(self, theta: Values, r: Float[Array, "*run"]) -> Float[Array, "*run"]:
        """That at zero, less (nu + 1)/2 ln(1 + r^2 / (nu sigma^2))."""
        nu, scaled = theta["nu"], r / theta["sigma"]
        peak = log_gamma_step(0.5 * nu) - 0.5 * jnp.log(jnp.pi * nu) - jnp.log(theta["sigma"])
        return once(peak) - 0.5 * (nu + 1) * jnp.log1p(scaled * scaled / nu)

    def sample(
        self, theta: Values, log_loss: Float[np.ndarray, " draw *run"], rng: np.random.Generator
    ) -> Float[np.ndarray, " draw *run"]:
        """ln law + sigma t(nu)."""
        sigma, nu = _columns(theta, ("sigma", "nu"), log_loss)
        return log_loss + sigma * rng.standard_t(np.broadcast_to(nu, log_loss.shape))

    def guess(self, size: Any) -> dict[str, Any]:
        """Moderately heavy tails."""
        return {"sigma": size, "nu": 5.0 + 0.0 * size}


@final
@dataclass(frozen=True)
class Normal(Noise):
    """Gaussian noise on ln loss: one outlier moves everything; for comparison."""

    name: ClassVar[str] = "normal"

    def params(self) -> tuple[Param, ...]:
        """sigma."""
        return (SCALE,)

    def distribution(self, theta: Values, log_loss: Any) -> "Distribution":
        """ln L ~ N(ln law, sigma)."""
        from numpyro import distributions

        return distributions.Normal(log_loss, theta["sigma"])

    def log_density(self, theta: Values, r: Float[Array, "*run"]) -> Float[Array, "*run"]:
        """That at zero, less r^2 / (2 sigma^2)."""
        scaled = r / theta["sigma"]
        return once(-0.5 * jnp.log(2 * jnp.pi) - jnp.log(theta["sigma"])) - 0.5 * scaled * scaled

    def sample(
        self, theta: Values, log_loss: Float[np.ndarray, " draw *run"], rng: np.random.Generator
    ) -> Float[np.ndarray, " draw *run"]:
        """ln law + sigma N(0, 1)."""
        (sigma,) = _columns(theta, ("sigma",), log_loss)
        return log_loss + sigma * rng.standard_normal(log_loss.shape)

    def guess(self, size: Any) -> dict[str, Any]:
        """sqrt(pi / 2) mean absolute deviations are a standard deviation."""
        return {"sigma": 1.2533 * size}


def log_gamma_step(x: Float[Array, ""]) -> Float[Array, ""]:
    """ln Gamma(x + 1/2) - ln Gamma(x) for x > 0: to rounding, and quick to differentiate twice.

    Up `UP` steps by the recurrence of Gamma, then Stirling's series of both. Differentiating JAX's own function goes
    through the zeta function, which is half the time of every step towards a mode.

    References
    ----------
    NIST Digital Library of Mathematical Functions, 5.11.8.
    """
    steps = jnp.arange(UP, dtype=x.dtype)
    z = x + UP
    w = 1 / (z * z)
    series = (-1 / 8 + w * (1 / 192 + w * (-1 / 640 + w * (17 / 14336 - w * 31 / 18432)))) / z
    return 0.5 * jnp.log(z) + series - jnp.log1p(0.5 / (x + steps)).sum()


def _columns(theta: Values, names: tuple[str, ...], like: Float[np.ndarray, " draw *run"]) -> list[np.ndarray]:
    """Parameters (draw,) as columns beside an array of draws."""
    return [np.asarray(theta[name], dtype=float).reshape(-1, *[1] * (like.ndim - 1)) for name in names]


def find_noise(name: str, **options: Any) -> Noise:
    """The noise of that name; raises `OptionError` that lists the names there are."""
    return lookup(name, dict(sorted(Noise.registry.items())), "noise")(**options)
