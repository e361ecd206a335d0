"""Counting parameters and compute: what N and C mean, exactly, for a transformer of a given shape."""

from scalefit.counting.convention import (
    CONVENTIONS,
    OMEGA,
    check_convention,
    embedding_scale,
    refuse_mix,
    to_non_embedding,
    to_total,
)
from scalefit.counting.flops import RULES, flops_per_token, training_days, training_flops
from scalefit.counting.named import SHAPES, Named, named
from scalefit.counting.nearest import families, members, nearest
from scalefit.counting.shape import Shape, gopher, gpt, llama
from scalefit.counting.sixnd import FLOPS_PER_PARAM_TOKEN, PF_DAY, flops_6nd, pf_days, share_6nd

__all__ = [
    "CONVENTIONS",
    "FLOPS_PER_PARAM_TOKEN",
    "OMEGA",
    "PF_DAY",
    "RULES",
    "SHAPES",
    "Named",
    "Shape",
    "check_convention",
    "embedding_scale",
    "families",
    "flops_6nd",
    "flops_per_token",
    "gopher",
    "gpt",
    "llama",
    "members",
    "named",
    "nearest",
    "pf_days",
    "refuse_mix",
    "share_6nd",
    "to_non_embedding",
    "to_total",
    "training_days",
    "training_flops",
]
