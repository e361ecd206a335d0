"""How finely losses are written or stored: no noise is smaller than what rounding does."""

import numpy as np
from jaxtyping import Float

DECIMALS = 5  # beyond which rounding is far below any noise
BITS = 24  # of float32, beyond which a loss is stored in full
UNIFORM = 12**-0.5  # standard deviation of a rounding error, in steps


def rounding(loss: Float[np.ndarray, " run"]) -> float:
    """Standard deviation of the rounding errors of ln losses.

    Parameters
    ----------
    loss
        As it was read, (run,).

    Returns
    -------
    float
        From the fewest decimals with which all losses can be written; else from the fewest bits in which all can be
        stored, as of float16 or bfloat16; 0 where both are many.
    """
    mantissa = np.frexp(loss)[0]
    written = lambda decimals: (np.abs(np.round(loss, decimals) - loss) <= 1e-12 * loss).all()
    stored = lambda bits: (mantissa * 2.0**bits == np.round(mantissa * 2.0**bits)).all()
    if not (written(DECIMALS - 1) or stored(BITS)):  # as nearly always; fewer would not do either
        return 0.0
    middle = float(np.exp(np.log(loss).mean()))
    if (decimals := next(filter(written, range(DECIMALS)), None)) is not None:
        return UNIFORM * 10.0**-decimals / middle
    bits = next(filter(stored, range(1, BITS + 1)))
    return UNIFORM * 2.0 ** (np.frexp(middle)[1] - bits) / middle


def floor_of_noise(loss: Float[np.ndarray, " run"], least: float) -> float:
    """The `rounding` of losses as a floor of sigma: a whole number of half decades, so that tables share programs.

    Parameters
    ----------
    loss
        As it was read, (run,).
    least
        The floor of losses that are written in full.
    """
    sd = rounding(loss)
    return least if sd <= least * 10**0.5 else 10 ** (np.floor(2 * np.log10(sd) + 1e-9) / 2)
