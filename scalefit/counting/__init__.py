"""Counting parameters and compute: what N and C mean, exactly, for a transformer of a given shape."""

from scalefit.counting.architectures import ARCHITECTURES, Architecture, architecture
from scalefit.counting.compute import FLOPS_PER_PARAM_TOKEN, PF_DAY, flops_6nd, params_for, pf_days, tokens_for
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
from scalefit.counting.nearest import families, family_shapes, nearest_shape
from scalefit.counting.shape import Shape
from scalefit.counting.styles import gopher, gpt, llama

__all__ = [
    "ARCHITECTURES",
    "CONVENTIONS",
    "FLOPS_PER_PARAM_TOKEN",
    "OMEGA",
    "PF_DAY",
    "RULES",
    "Architecture",
    "Shape",
    "architecture",
    "check_convention",
    "embedding_scale",
    "families",
    "family_shapes",
    "flops_6nd",
    "flops_per_token",
    "gopher",
    "gpt",
    "llama",
    "nearest_shape",
    "params_for",
    "pf_days",
    "refuse_mix",
    "to_non_embedding",
    "to_total",
    "tokens_for",
    "training_days",
    "training_flops",
]
