"""Counting compute: C = 6 N D and its two inverses, and the unit of Kaplan et al.

Kaplan et al. 2020 (arXiv 2001.08361), section 2.1: about 2N FLOP a token forward, twice that backward.
Everything here is floating point: 6·N·D leaves the range of a 64-bit integer beyond 9.2e18.
"""

from typing import Any

FLOPS_PER_PARAM_TOKEN = 6.0
PF_DAY = 1e15 * 86400  # FLOP


def flops_6nd(params: Any, tokens: Any) -> Any:
    """Training compute in FLOP of `params` parameters over `tokens` tokens; floats or arrays, elementwise."""
    return FLOPS_PER_PARAM_TOKEN * params * tokens


def tokens_for_6nd(flops: Any, count: Any) -> Any:
    """The other factor of C = 6 N D: tokens from compute and parameters, or parameters from compute and tokens."""
    return flops / FLOPS_PER_PARAM_TOKEN / count


def pf_days(flops: Any) -> Any:
    """FLOP in PF-days, 1e15 FLOP a second for a day, the unit of Kaplan et al.'s C_c; floats or arrays."""
    return flops / PF_DAY
