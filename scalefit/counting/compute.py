"""Compute by C = 6 N D, its two inverses, and the unit of Kaplan et al.

Everything here is floating point: 6 N D leaves the range of a 64-bit integer beyond 9.2e18.

References
----------
Kaplan et al. 2020 (arXiv 2001.08361), section 2.1: about 2 N FLOP a token forward, twice that backward.
"""

from typing import Any

FLOPS_PER_PARAM_TOKEN = 6.0
PF_DAY = 1e15 * 86400  # FLOP

# When two computes count as one. Factors:
EQUAL_COMPUTE = 1.0001  # runs of one budget, whose 6 N D differs by rounding
SAME_COMPUTE = 1.005  # a number written with three digits is still that of its run
# Distances in ln compute:
ISOFLOP_WIDTH = 0.15  # runs within this of a budget belong to its isoFLOP line
CLUSTER_WIDTH = 0.3  # held-out runs within this share their error


def flops_6nd(params: Any, tokens: Any) -> Any:
    """Training compute C = 6 N D.

    Parameters
    ----------
    params, tokens
        N and D; floats or arrays.

    Returns
    -------
    float or array
        FLOP, elementwise.
    """
    return FLOPS_PER_PARAM_TOKEN * params * tokens


def tokens_for(flops: Any, params: Any) -> Any:
    """Training tokens D = C / (6 N) that compute pays for.

    Parameters
    ----------
    flops
        C, FLOP; a float or an array.
    params
        N; a float or an array.

    Returns
    -------
    float or array
        D, elementwise.
    """
    return flops / FLOPS_PER_PARAM_TOKEN / params


def params_for(flops: Any, tokens: Any) -> Any:
    """Parameters N = C / (6 D) that compute pays for.

    Parameters
    ----------
    flops
        C, FLOP; a float or an array.
    tokens
        D; a float or an array.

    Returns
    -------
    float or array
        N, elementwise.
    """
    return flops / FLOPS_PER_PARAM_TOKEN / tokens


def pf_days(flops: Any) -> Any:
    """Compute in PF-days, 1e15 FLOP a second for a day, the unit of Kaplan et al.'s C_c.

    Parameters
    ----------
    flops
        FLOP; a float or an array.

    Returns
    -------
    float or array
        PF-days, elementwise.
    """
    return flops / PF_DAY
