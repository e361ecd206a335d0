"""Names of columns as people write them: words, paths of trackers, and the unit that a name states.

`config.train.total_tokens`, `eval/loss`, `Params (M)`, `numParams`, `total_gflops` and `flops_1e18` are each read into
words, the pieces of a path, and a factor.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from scalefit.counting import PF_DAY

SCALES = {
    "k": 1e3, "thousand": 1e3, "thousands": 1e3,
    "m": 1e6, "mn": 1e6, "mio": 1e6, "million": 1e6, "millions": 1e6,
    "b": 1e9, "bn": 1e9, "g": 1e9, "billion": 1e9, "billions": 1e9,
    "t": 1e12, "tn": 1e12, "trillion": 1e12, "trillions": 1e12,
}  # fmt: skip
"""Words behind a count -> factor."""
_SI = {
    "": 1.0, "k": 1e3, "kilo": 1e3, "m": 1e6, "mega": 1e6, "g": 1e9, "giga": 1e9, "t": 1e12, "tera": 1e12, "p": 1e15,
    "peta": 1e15, "e": 1e18, "exa": 1e18, "z": 1e21, "zetta": 1e21, "y": 1e24, "yotta": 1e24,
}  # fmt: skip
_FLOP = re.compile(r"(|k|m|g|t|p|e|z|y|kilo|mega|giga|tera|peta|exa|zetta|yotta)(flops?|flos)")
_POWER = re.compile(r"(?:1e|10\^)\+?(\d{1,2})")
_PF_DAY = re.compile(r"(?<![a-z])(?:pf|pflops?|petaflops?)[\s_/-]*(?:s[\s_/-]*)?days?(?![a-z])")
_BRACKETS = re.compile(r"[(\[{]([^()\[\]{}]*)[)\]}]")
_COMPUTE = re.compile(r"flop|flos|compute|^c$|^\s*c\s*$")
_KEPT = frozenset({"train", "training", "val", "valid", "validation", "eval", "test", "embedding", "emb", "active",
                   "total", "embeddings", "nonembedding"})  # fmt: skip
_NOUN = re.compile(r"\b(params?|parameters?|tokens?|of)\b")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
# A unit of time or work after a quantity makes a rate; "eval/loss" is a path.
_RATE = re.compile(
    r"(?:tok|tokens?|flops?|params?|samples?|time|it)\s*/\s*(?:s|sec|seconds?|it|iter?|iterations?|step|gpu|device|"
    r"chip|h|hr|hour|day|tokens?|params?|samples?)(?:\b|_)|\bper\b|\bpersec\b|_ps\b"
)
LONGEST = 300  # characters of a name that are looked at


class Name(NamedTuple):
    """A column's name, read.

    Parameters
    ----------
    pieces
        Words of each part of the path, joined by underscores: `eval/val loss` is ("eval", "val_loss").
    factor
        What its values are multiplied by to be counts or FLOP; 1 where the name states no unit.
    rate
        Whether it is an amount for each second, step or other unit.
    """

    pieces: tuple[str, ...]
    factor: float
    rate: bool

    @property
    def leaf(self) -> str:
        """The last part of the path."""
        return self.pieces[-1] if self.pieces else ""


def read_name(column: str) -> Name:
    """Read the name of a column.

    Parameters
    ----------
    column
        As the table has it.

    Returns
    -------
    Name
        Its words and its unit.
    """
    return _read(column[:LONGEST].strip())


def column_called(name: str, columns: Iterable[str]) -> str | None:
    """The column of that name, else the only one whose name differs in case, spaces, dashes and underscores alone.

    Parameters
    ----------
    name
        As a user writes it.
    columns
        All names of a table.
    """
    known = list(columns)
    if name in known:
        return name
    bare = lambda text: re.sub(r"[\s_-]+", "", text.casefold())
    alike = [column for column in known if bare(column) == bare(name)]
    return alike[0] if len(alike) == 1 and bare(name) else None


@lru_cache(maxsize=16384)
def _read(column: str) -> Name:
    text = _CAMEL.sub("_", column)
    lower = text.lower().replace("per_", "per ").replace("_per", " per ")
    factor, text = _bracketed_unit(text)
    pieces = []
    for piece in re.split(r"[/:]|\.(?!\d)", text.lower()):
        words, scale = _without_unit(piece)
        factor *= scale
        if words:
            pieces.append("_".join(words))
    return Name(tuple(pieces), factor, bool(_RATE.search(lower)))


def _bracketed_unit(text: str) -> tuple[float, str]:
    """The factor that brackets state, and the name without them: `Params (M)`.

    What brackets say of a loss or of parameters stays, `Loss (val)`; other remarks are dropped.
    """
    if pf_day := _PF_DAY.search(text.lower()):
        rest = text[: pf_day.start()] + " " + text[pf_day.end() :]
        return PF_DAY, (_BRACKETS.sub(" ", rest) if rest.strip(" ()[]{}/_-") else "compute")
    factor, kept = 1.0, []
    is_compute = _COMPUTE.search(_BRACKETS.sub(" ", text).lower()) is not None
    for inside in re.split("[,;]", ",".join(_BRACKETS.findall(text))):
        words, scale = _without_unit(_NOUN.sub(" ", inside.lower()), bare=True)
        if is_compute and len(words) == 1 and words[0] in _SI:
            factor *= _SI[words[0]]
        elif scale != 1.0 and set(words) <= {"in", "x", "flop", "flops"}:
            factor *= scale
        elif set(words) & _KEPT:
            kept.append("_".join(words))
    return factor, " ".join([_BRACKETS.sub(" ", text).strip(), *kept])


def _without_unit(piece: str, bare: bool = False) -> tuple[list[str], float]:
    """Words of a part of a name without those that are a unit, and the unit's factor."""
    words, factor = _without_prefixes([word for word in re.split(r"[^0-9a-z^+]+", piece) if word])
    if len(words) > 1 and len(words[0]) > 2 and words[0] in SCALES:  # million params
        factor, words = factor * SCALES[words[0]], words[1 + (words[1] == "of") :]
    if words and (len(words) > 1 or bare):
        last, is_flop = words[-1], any(word.startswith("flop") for word in words[:-1])
        scale = 1.0
        if power := _POWER.fullmatch(last):
            scale = 10.0 ** int(power[1])
        elif last in SCALES and not (len(last) == 1 and (is_flop or (words[:-1] and len(words[-2]) == 1))):
            scale = SCALES[last]
        elif is_flop and len(last) > 2:
            scale = _SI.get(last, 1.0)
        words = words[:-1] if scale != 1.0 else words
        factor *= scale
    return words[:-1] if words[-1:] == ["in"] else words, factor


def _without_prefixes(words: list[str]) -> tuple[list[str], float]:
    """Words with FLOP of any size as `flops`, and its size: of `gflops`, and of `exa flops`."""
    factor, found = 1.0, []
    for word, following in zip(words, [*words[1:], ""], strict=False):
        if match := _FLOP.fullmatch(word):
            factor *= _SI[match[1]]
            found.append(match[2])
        elif len(word) > 2 and word in _SI and following.startswith("flo"):
            factor *= _SI[word]
        else:
            found.append(word)
    return found, factor
