"""Shapes of three styles of decoder, from the few numbers in which models of a style differ."""

from scalefit.counting.shape import Shape, check_count
from scalefit.errors import OptionError


def gpt(layers: int, width: int, heads: int, *, vocabulary: int = 50257, context: int = 1024) -> Shape:
    """GPT-2 and GPT-3: biases, LayerNorm, learned positions, tied embeddings, an MLP of 4 d.

    Parameters
    ----------
    layers, width, heads, vocabulary, context
        As `Shape` has them.

    Returns
    -------
    Shape
        A model of V d + T d + L (12 d^2 + 13 d) + 2 d parameters, T the context.

    Raises
    ------
    OptionError
        A count is not a positive integer, or the heads do not divide the width.

    References
    ----------
    Radford et al. 2019, section 2.3, and its code.
    """
    return Shape(
        layers=layers,
        width=width,
        heads=heads,
        kv_heads=heads,
        head_size=_head_size(width, heads),
        mlp=4 * width,
        vocabulary=vocabulary,
        context=context,
        biases=True,
        norm_bias=True,
        tied=True,
        learned_positions=True,
    )


def llama(
    layers: int,
    width: int,
    heads: int,
    mlp: int,
    *,
    vocabulary: int,
    context: int,
    kv_heads: int | None = None,
    tied: bool = False,
    experts: int = 1,
    active_experts: int = 1,
) -> Shape:
    """Llama, and Mixtral with experts: no biases, RMSNorm, rotary positions, a gated MLP.

    Parameters
    ----------
    layers, width, heads, mlp, vocabulary, context, tied, experts, active_experts
        As `Shape` has them.
    kv_heads
        Heads of keys and values; as many as query heads by default.

    Returns
    -------
    Shape
        A model of (2 if untied) V d + L (2 d^2 + 2 d n_kv d_h + 3 d f + 2 d) + d parameters with one expert.

    Raises
    ------
    OptionError
        A count is not a positive integer, or heads do not divide.

    References
    ----------
    Touvron et al. 2023 (arXiv 2302.13971), section 2.2; Jiang et al. 2024 (arXiv 2401.04088), section 2.1, for experts.
    """
    return Shape(
        layers=layers,
        width=width,
        heads=heads,
        kv_heads=heads if kv_heads is None else kv_heads,
        head_size=_head_size(width, heads),
        mlp=mlp,
        vocabulary=vocabulary,
        context=context,
        gated=True,
        tied=tied,
        experts=experts,
        active_experts=active_experts,
    )


def gopher(layers: int, width: int, heads: int, *, vocabulary: int = 32000, context: int = 2048) -> Shape:
    """Gopher and Chinchilla as Hoffmann et al. count them: relative positions, biases, tied embeddings, an MLP of 4 d.

    Parameters
    ----------
    layers, width, heads, vocabulary, context
        As `Shape` has them.

    Returns
    -------
    Shape
        A model of L (3 d^2 + 3 d + d^2 + 2 d + d^2 + d + 2 d f + f + d + 4 d) + 2 d + V d parameters, f = 4 d.

    Raises
    ------
    OptionError
        A count is not a positive integer, or the heads do not divide the width.

    References
    ----------
    Hoffmann et al. 2022 (arXiv 2203.15556), Appendix F.
    """
    return Shape(
        layers=layers,
        width=width,
        heads=heads,
        kv_heads=heads,
        head_size=_head_size(width, heads),
        mlp=4 * width,
        vocabulary=vocabulary,
        context=context,
        biases=True,
        norm_bias=True,
        tied=True,
        relative_positions=True,
    )


def _head_size(width: int, heads: int) -> int:
    check_count("heads", heads)
    if width % heads:
        raise OptionError(f"{heads} heads do not divide a width of {width}. Give a divisor of the width.")
    return width // heads
