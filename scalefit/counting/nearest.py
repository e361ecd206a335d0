"""From a wanted number of parameters to a shape one can build: the nearest of a family.

A family is its published members: the one nearest in size lends its head size, MLP ratio, key-value heads and
vocabulary, and all of them, interpolated in ln N, the aspect ratio d / L.
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from math import exp, gcd, hypot, lcm, log

import numpy as np

from scalefit._registry import lookup
from scalefit.counting.architectures import ARCHITECTURES
from scalefit.counting.convention import check_convention
from scalefit.counting.shape import Shape
from scalefit.errors import OptionError
from scalefit.units import format_count

MLP_MULTIPLE = 256
# A shape one per cent off in size is worth one whose aspect ratio is 14 % off: loss hardly depends on the aspect
# (Kaplan et al. 2020, arXiv 2001.08361, Fig. 5). Their distance, not their sum, so that neither is far off.
ASPECT_WEIGHT = 0.076
LARGEST_MISS = log(1.5)
# A key-value head serves at most so many times the query heads that it serves in the published shape.
MOST_SHARING = 3


def families() -> list[str]:
    """The families that `nearest_shape` knows."""
    return list(dict.fromkeys(entry.family for entry in ARCHITECTURES.values()))


def family_shapes(family: str, *, vocabulary: int | None = None, context: int | None = None) -> tuple[Shape, ...]:
    """The published shapes of a family.

    Parameters
    ----------
    family
        One of `families()`.
    vocabulary, context
        Those of the returned shapes; as published by default.

    Returns
    -------
    tuple of Shape
        By size.

    Raises
    ------
    OptionError
        The family is unknown.
    """
    known = {name: [e.shape for e in ARCHITECTURES.values() if e.family == name] for name in families()}
    adapted = [
        replace(shape, vocabulary=vocabulary or shape.vocabulary, context=context or shape.context)
        for shape in lookup(family, known, "family")
    ]
    return tuple(sorted(adapted, key=lambda shape: shape.total))


def nearest_shape(
    family: str,
    params: float,
    convention: str = "total",
    *,
    vocabulary: int | None = None,
    width_multiple: int = 64,
    context: int | None = None,
) -> Shape:
    """The deployable shape of a family that comes nearest to a number of parameters.

    Parameters
    ----------
    family
        One of `families()`.
    params
        The wanted N.
    convention
        What N counts, one of `CONVENTIONS`.
    vocabulary, context
        Those of the shape; the family's by default.
    width_multiple
        The width is a multiple of this and of the head size.

    Returns
    -------
    Shape
        Its MLP is a multiple of 256 wide, and its key-value heads divide its heads. `.count(convention)` is its exact
        number of parameters.

    Raises
    ------
    OptionError
        The family or the convention is unknown, or the family has no shape within a factor 1.5.
    """
    check_convention(convention)
    known = family_shapes(family, vocabulary=vocabulary, context=context)
    sizes = [log(member.count(convention)) for member in known]
    wanted = log(params) if params >= 1 else 0.0
    template = known[int(np.argmin(np.abs(np.array(sizes) - wanted)))]
    log_aspect = float(np.interp(wanted, sizes, [log(member.width / member.layers) for member in known]))

    def miss(shape: Shape) -> float:
        return abs(log(shape.count(convention)) - wanted)

    def cost(shape: Shape) -> float:
        return hypot(miss(shape), ASPECT_WEIGHT * (log(shape.width / shape.layers) - log_aspect))

    best = min(_candidates(template, exp(wanted), convention, width_multiple), key=cost)
    if miss(best) > LARGEST_MISS:
        raise OptionError(
            f"the nearest {family} shape to {format_count(params)} {convention} parameters has "
            f"{format_count(best.count(convention))}. Give more parameters, or a smaller vocabulary."
        )
    return best


def _candidates(template: Shape, wanted: float, convention: str, multiple: int) -> Iterator[Shape]:
    """Shapes of each width with the two numbers of layers whose counts enclose the wanted one."""
    # Heads come in multiples of a quarter of the key-value heads at least, so that these can be shared evenly.
    fewest_heads = max(1, template.kv_heads // 4) if _sharing(template) > 1 else 1
    step = lcm(multiple, fewest_heads * template.head_size)
    for width in count(step, step):
        shallow = _scaled(template, width, layers=1)
        smallest = shallow.count(convention)
        layer = _scaled(template, width, layers=2).count(convention) - smallest
        layers = 1 + int(max(0.0, wanted - smallest) // layer)
        if _sharing(shallow) <= MOST_SHARING * _sharing(template):
            yield _scaled(template, width, layers)
            yield _scaled(template, width, layers + 1)
        if smallest >= wanted:
            return


def _sharing(shape: Shape) -> float:
    """Query heads that share one key-value head."""
    return shape.heads / shape.kv_heads


def _scaled(template: Shape, width: int, layers: int) -> Shape:
    """The template in another size: the same head size, MLP ratio and kind of attention."""
    heads = width // template.head_size
    mlp = max(1, round(template.mlp / template.width * width / MLP_MULTIPLE)) * MLP_MULTIPLE
    kv_heads = gcd(heads, template.kv_heads) if _sharing(template) > 1 else heads
    return replace(template, width=width, layers=layers, heads=heads, kv_heads=kv_heads, mlp=mlp)
