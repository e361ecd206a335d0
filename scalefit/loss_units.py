"""Units of loss: what a column's name states, what each allows, and how sentences and tables write them."""

import re

from scalefit.errors import OptionError, quoted

NATS = "nats per token"
BITS = 0.6931471805599453  # nats
# A model that knows nothing pays ln(vocabulary): under 14 nats for a million entries.
LARGEST = {NATS: 14.0, "bits per token": 14.0 / BITS, "nats": 14.0, "bits": 14.0 / BITS}
PER_BYTE = {"bits per byte": BITS, "nats per byte": 1.0}  # in nats
LONGEST = 60  # characters of a unit
_WORDS = {
    "bpb": "bits per byte", "bpt": "bits per token", "bpc": "bits per character", "bpd": "bits per dimension",
    "bpw": "bits per word", "error": "error rate", "err": "error rate", "wer": "word error rate",
    "cer": "character error rate", "mse": "mean squared error", "rmse": "root mean squared error",
    "mae": "mean absolute error", "bits": "bits", "nats": "nats", "perplexity": "perplexity", "ppl": "perplexity",
    "percent": "percent",
}  # fmt: skip
_PER = re.compile(r"(?<![a-z])(bit|nat)s?[\s_-]*(?:/|per)[\s_-]*([a-z]+)")
_SAME = {
    "char": "character",
    "dim": "dimension",
    "tok": "token",
    "nucleotide": "base",
    "basepair": "base",
    "bp": "base",
}


def read_unit(text: str) -> str:
    """A unit as people write it: "bpb" and "bits/byte" are "bits per byte", "error" is "error rate".

    Parameters
    ----------
    text
        Any name; one that is not known is the unit itself.

    Returns
    -------
    str
        The unit.

    Raises
    ------
    OptionError
        The text is empty or long, or has more than one line.
    """
    unit = text.strip()
    if not unit or len(unit) > LONGEST or not unit.isprintable():
        raise OptionError(
            f"the unit of loss {quoted(text)} is no name. Write one like 'bits per byte' or 'error rate'."
        )
    lower = unit.lower()
    return NATS if lower in ("nats", "nat") else _WORDS.get(lower) or (_stated(unit) if _PER.match(lower) else unit)


def unit_of_column(column: str, is_loss: bool) -> str:
    """The unit of loss that a column's name states.

    Parameters
    ----------
    column
        The table's own name.
    is_loss
        Whether the name is that of a loss; one that is not, such as `1-pass@100`, is its own unit.

    Returns
    -------
    str
        Nats per token where a loss states no unit.
    """
    return _stated(column) or (NATS if is_loss else column.strip()[:LONGEST])


def _stated(name: str) -> str:
    lower = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
    if found := _PER.search(lower):
        per = found[2].removesuffix("s")
        return f"{found[1]}s per {_SAME.get(per, per)}"
    words = [word for word in re.split(r"[^a-z]+", lower) if word]
    if {"squared", "absolute"} & set(words):
        return " ".join(words)
    return "percent" if "%" in lower else next((_WORDS[word] for word in words if word in _WORDS), "")


def check_bytes(unit: str, bytes_per_token: float) -> float:
    """Nats per token of one such unit.

    Parameters
    ----------
    unit
        Of loss, for each byte.
    bytes_per_token
        Of the tokenizer on the data.

    Returns
    -------
    float
        What losses are multiplied by.

    Raises
    ------
    OptionError
        The unit is none for each byte, or a token has no bytes.
    """
    if unit not in PER_BYTE:
        raise OptionError(
            f"the losses are in {unit}, and bytes_per_token converts bits per byte. Leave it out, or state the unit, "
            "as in unit='bits per byte' (--loss-unit)."
        )
    if not 0 < bytes_per_token < 1e3:
        raise OptionError(f"{bytes_per_token:g} bytes per token are out of range. Give a number like 4.3.")
    return PER_BYTE[unit] * bytes_per_token


def largest_plausible(unit: str) -> float:
    """The largest loss in a unit that is no mistake; infinite where that is not known."""
    return LARGEST.get(unit, float("inf"))


def in_unit(number: str, unit: str) -> str:
    """A written loss with its unit: "1.892 nats per token", "0.21 in error rate"."""
    return f"{number} {unit}" if unit.startswith(("nats", "bits")) else f"{number} in {unit}"


def short(unit: str) -> str:
    """A unit where space is short: "nats" for nats per token."""
    return unit.partition(" per ")[0]


def of_loss(unit: str, loss_unit: str) -> str:
    """The unit of a parameter of a law, written for losses in nats, where losses are in another unit."""
    return unit if loss_unit == NATS else re.sub(r"\bnats( per token)?\b", lambda _: short(loss_unit), unit)


def source_sentence(unit: str, table: str) -> str:
    """What a number of loss means: the unit, and whose data and tokenizer it depends on."""
    of = f"of the data and tokenizer of {table}" if unit.endswith("per token") else f"as in {table}"
    return f"Loss is in {unit} {of}."
