"""Published shapes by name, with their source."""

from typing import NamedTuple

from scalefit._registry import lookup
from scalefit.counting.shape import Shape
from scalefit.counting.styles import gopher, gpt, llama

GPT2 = "Radford et al. 2019, Table 2, and the released models"
GPT3 = "Brown et al. 2020 (arXiv 2005.14165), Table 2.1"
LLAMA1 = "Touvron et al. 2023 (arXiv 2302.13971), Table 2, and the released models"
LLAMA2 = "Touvron et al. 2023 (arXiv 2307.09288), Table 1, and the released models"
LLAMA3 = "Grattafiori et al. 2024 (arXiv 2407.21783), Table 3"
LLAMA32 = "Llama 3.2 model card, 2024, and the released model"
MIXTRAL = "Jiang et al. 2024 (arXiv 2401.04088), Table 1"
HOFFMANN = "Hoffmann et al. 2022 (arXiv 2203.15556), Table A4"


class Architecture(NamedTuple):
    """A published shape.

    Parameters
    ----------
    shape
        The transformer.
    family
        The name that models of its paper share.
    source
        Where the shape is published.
    """

    shape: Shape
    family: str
    source: str


def _llama1(layers: int, width: int, heads: int, mlp: int) -> Architecture:
    return Architecture(llama(layers, width, heads, mlp, vocabulary=32000, context=2048), "llama-1", LLAMA1)


def _llama2(layers: int, width: int, heads: int, mlp: int, kv_heads: int | None = None) -> Architecture:
    shape = llama(layers, width, heads, mlp, vocabulary=32000, context=4096, kv_heads=kv_heads)
    return Architecture(shape, "llama-2", LLAMA2)


def _llama3(layers: int, width: int, heads: int, mlp: int, tied: bool = False, source: str = LLAMA3) -> Architecture:
    shape = llama(layers, width, heads, mlp, vocabulary=128256, context=8192, kv_heads=8, tied=tied)
    return Architecture(shape, "llama-3", source)


_MIXTRAL = llama(32, 4096, 32, 14336, vocabulary=32000, context=32768, kv_heads=8, experts=8, active_experts=2)
ARCHITECTURES: dict[str, Architecture] = {
    "gpt2": Architecture(gpt(12, 768, 12), "gpt", GPT2),
    "gpt2-medium": Architecture(gpt(24, 1024, 16), "gpt", GPT2),
    "gpt2-large": Architecture(gpt(36, 1280, 20), "gpt", GPT2),
    "gpt2-xl": Architecture(gpt(48, 1600, 25), "gpt", GPT2),
    "gpt3-175b": Architecture(gpt(96, 12288, 96, context=2048), "gpt", GPT3),
    "llama-7b": _llama1(32, 4096, 32, 11008),
    "llama-13b": _llama1(40, 5120, 40, 13824),
    "llama-33b": _llama1(60, 6656, 52, 17920),
    "llama-65b": _llama1(80, 8192, 64, 22016),
    "llama-2-7b": _llama2(32, 4096, 32, 11008),
    "llama-2-13b": _llama2(40, 5120, 40, 13824),
    "llama-2-70b": _llama2(80, 8192, 64, 28672, kv_heads=8),
    "llama-3.2-1b": _llama3(16, 2048, 32, 8192, tied=True, source=LLAMA32),
    "llama-3-8b": _llama3(32, 4096, 32, 14336),
    "llama-3-70b": _llama3(80, 8192, 64, 28672),
    "llama-3-405b": _llama3(126, 16384, 128, 53248),
    "mixtral-8x7b": Architecture(_MIXTRAL, "mixtral", MIXTRAL),
    "chinchilla-73m": Architecture(gopher(10, 640, 10), "chinchilla", HOFFMANN),
    "chinchilla-305m": Architecture(gopher(20, 1024, 16), "chinchilla", HOFFMANN),
    "chinchilla-552m": Architecture(gopher(24, 1280, 10), "chinchilla", HOFFMANN),
    "chinchilla-1.1b": Architecture(gopher(26, 1792, 14), "chinchilla", HOFFMANN),
    "chinchilla-1.6b": Architecture(gopher(28, 2048, 16), "chinchilla", HOFFMANN),
    "chinchilla-6.8b": Architecture(gopher(40, 3584, 28), "chinchilla", HOFFMANN),
}
"""Name -> published shape. `context` is the sequence of pre-training, of its main stage where there are several."""


def architecture(name: str) -> Shape:
    """Look up a published shape.

    Parameters
    ----------
    name
        One of `ARCHITECTURES`, whatever its case and hyphens.

    Returns
    -------
    Shape
        The transformer of that name.

    Raises
    ------
    OptionError
        The name is unknown; the sentence suggests close ones.
    """
    return lookup(name, ARCHITECTURES, "shape", loose=True).shape
