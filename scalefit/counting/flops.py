"""FLOP of training a shape, by the rules that papers count with. Per token, forward and backward, as floats.

Backward is twice forward. All rules count what a token meets: of a mixture, its active experts.
"""

from collections.abc import Callable
from typing import NamedTuple

from scalefit._registry import lookup
from scalefit.counting.compute import FLOPS_PER_PARAM_TOKEN
from scalefit.counting.shape import Shape

PerToken = Callable[[Shape, int], float]
"""FLOP a token of a shape, in sequences of a length."""


class Rule(NamedTuple):
    """One way to count FLOP.

    Parameters
    ----------
    per_token
        FLOP a token, from a shape and the length of a sequence.
    about
        The formula in words.
    source
        The paper that counts so.
    """

    per_token: PerToken
    about: str
    source: str


RULES: dict[str, Rule] = {}
"""Name -> rule."""


def _rule(name: str, about: str, source: str) -> Callable[[PerToken], PerToken]:
    """Register a function as the rule of that name."""

    def register(per_token: PerToken) -> PerToken:
        RULES[name] = Rule(per_token, about, source)
        return per_token

    return register


@_rule("6nd", "6 N, N all parameters", "Hoffmann et al. 2022 (arXiv 2203.15556), section 3.3")
def _six_nd(shape: Shape, context: int) -> float:
    return FLOPS_PER_PARAM_TOKEN * shape.active


@_rule("kaplan", "6 N + 6 L T d, N without embeddings", "Kaplan et al. 2020 (arXiv 2001.08361), Table 1 and eq. 2.2")
def _kaplan(shape: Shape, context: int) -> float:
    return 6.0 * shape.active_non_embedding + 6.0 * shape.layers * context * shape.attention_width


@_rule(
    "palm",
    "6 N + 12 L H Q T, attention over the whole sequence",
    "Chowdhery et al. 2022 (arXiv 2204.02311), Appendix B",
)
def _palm(shape: Shape, context: int) -> float:
    return 6.0 * shape.active + 12.0 * shape.layers * shape.attention_width * context


@_rule(
    "palm-causal",
    "6 N + 6 L H Q T, attention over what came before",
    "Porian et al. 2024 (arXiv 2406.19146), half of PaLM's term",
)
def _palm_causal(shape: Shape, context: int) -> float:
    return 6.0 * shape.active + 6.0 * shape.layers * shape.attention_width * context


@_rule(
    "megatron",
    "matrix products of layers and logits: 72 L d^2 (1 + T/6d + V/12Ld) for GPT",
    "Narayanan et al. 2021 (arXiv 2104.04473), Appendix",
)
def _megatron(shape: Shape, context: int) -> float:
    return 3 * (_layers(shape, context) + _logits(shape))


@_rule(
    "megatron-recompute",
    "layers run forward twice: 96 L d^2 (1 + T/6d + V/16Ld) for GPT",
    "Narayanan et al. 2021 (arXiv 2104.04473), section 5.1",
)
def _megatron_recompute(shape: Shape, context: int) -> float:
    return 4 * _layers(shape, context) + 3 * _logits(shape)


# Hoffmann's list also names embeddings and logits; the ratios of Table A4 come out only without them.
@_rule(
    "hoffmann",
    "matrix products and softmax of the layers, no logits",
    "Hoffmann et al. 2022 (arXiv 2203.15556), Appendix F and Table A4",
)
def _hoffmann(shape: Shape, context: int) -> float:
    softmax = 3.0 * shape.layers * shape.heads * context
    return 3 * (_layers(shape, context) + softmax)


def _layers(shape: Shape, context: int) -> float:
    """Forward FLOP a token of every layer's matrix products, attention over the full context."""
    weights = shape.attention_weights + shape.active_experts * shape.mlp_weights + shape.router_weights
    return shape.layers * (2.0 * weights + 4.0 * context * shape.attention_width)


def _logits(shape: Shape) -> float:
    """Forward FLOP a token of the output matrix."""
    return 2.0 * shape.vocabulary * shape.width


def flops_per_token(shape: Shape, rule: str = "6nd", context: int | None = None) -> float:
    """Training FLOP a token of a shape.

    Parameters
    ----------
    shape
        The transformer.
    rule
        One of `RULES`.
    context
        Tokens of a sequence; the shape's own by default.

    Returns
    -------
    float
        FLOP, forward and backward.

    Raises
    ------
    OptionError
        The rule is unknown.
    """
    return lookup(rule, RULES, "FLOP rule").per_token(shape, context or shape.context)


def training_flops(shape: Shape, tokens: float, rule: str = "6nd", context: int | None = None) -> float:
    """FLOP of training a shape.

    Parameters
    ----------
    shape, rule, context
        As `flops_per_token` takes them.
    tokens
        Training tokens.

    Returns
    -------
    float
        FLOP.

    Raises
    ------
    OptionError
        The rule is unknown.
    """
    return flops_per_token(shape, rule, context) * float(tokens)


def training_days(params: float, tokens: float, devices: int, achieved: float, recompute: bool = True) -> float:
    """Days of training, as Megatron-LM estimates them.

    Parameters
    ----------
    params, tokens
        N and D.
    devices
        Number of devices n.
    achieved
        FLOP a second X of one device, as measured.
    recompute
        Whether activations are computed again in the backward pass.

    Returns
    -------
    float
        8 D N / (n X) with recomputation, 6 D N / (n X) without, in days.

    References
    ----------
    Narayanan et al. 2021 (arXiv 2104.04473), section 5.1.
    """
    return (8.0 if recompute else 6.0) * tokens * params / (devices * achieved) / 86400
