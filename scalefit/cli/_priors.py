"""Priors as `--prior` and `--pin` write them."""

import re
from typing import TYPE_CHECKING, Any

from scalefit.errors import OptionError

if TYPE_CHECKING:
    from scalefit.laws import Law, Param
    from scalefit.model.noise import Noise

SPREAD = re.compile(r"\s*(?:±|\+/?-)\s*")  # between a value and its standard deviation
FAMILY = re.compile(r"\s*([A-Za-z]\w*)\s*\(([^()]*)\)\s*")


def priors_of(law: "Law", noise: "Noise", stated: list[str] | None, pinned: list[str] | None) -> dict[str, Any]:
    """The priors that the options give, by parameter; those of a loss in the unit of the table's losses.

    Parameters
    ----------
    law, noise
        Whose parameters may be named.
    stated
        "E=1.69±0.03", "E=1.69+-0.03" or "alpha=Uniform(0.2, 0.5)".
    pinned
        "E=1.6" or "alpha=beta".

    Raises
    ------
    OptionError
        One of them is none, names no parameter, or one that is named already.
    """
    from scalefit._registry import lookup
    from scalefit.model.clusters import Clustered

    params, found = {p.name: p for p in (*law.params(), *Clustered(noise).params())}, {}
    for option, texts, read in (("--prior", stated, _read_prior), ("--pin", pinned, _read_pin)):
        for text in texts or []:
            name, _, value = (part.strip() for part in text.partition("="))
            if not value:
                raise OptionError(f"{option} is a parameter and its value, as in E=1.69; {text!r} is not.")
            param = lookup(name, params, "parameter")
            if param.name in found:
                raise OptionError(f"{param.name} is given twice by --prior and --pin. Give it once.")
            found[param.name] = read(param, value, tuple(params))
    return found


def _read_prior(param: "Param", text: str, names: tuple[str, ...]) -> Any:
    from math import log

    from scalefit.laws import Prior, called

    if family := FAMILY.fullmatch(text):
        given = [part.partition("=")[::2] for part in family[2].split(",") if part.strip()]
        by_name = {key.strip(): _number(param, value) for key, value in given if value}
        numbers = [_number(param, key) for key, value in given if not value]
        return _in_its_unit(param, called(family[1], numbers, by_name), text)
    parts = SPREAD.split(text)
    if len(parts) != 2:
        raise OptionError(
            f"--prior {param.name}={text} is no prior. Write a value and its standard deviation, as in "
            f"{param.name}=0.34±0.02, or a distribution, as in {param.name}=Uniform(0.2, 0.5)."
        )
    middle, spread = (_number(param, part) for part in parts)
    if not spread > 0:
        raise OptionError(f"--prior {param.name}={text}: the standard deviation is not positive. Use --pin to fix it.")
    own = param.prior
    if isinstance(own, Prior) and own.ends[0] < 0:
        return _in_its_unit(param, Prior.of("Normal", loc=middle, scale=spread), text)
    if not middle > 0:
        raise OptionError(f"{param.name} is positive, and --prior {param.name}={text} is not. Correct it.")
    return _in_its_unit(param, Prior.of("LogNormal", loc=log(middle), scale=spread / middle), text)


def _read_pin(param: "Param", text: str, names: tuple[str, ...]) -> Any:
    from scalefit.laws import SameAs, as_prior

    return SameAs(text) if text in names else _in_its_unit(param, as_prior(_number(param, text)), text)


def _in_its_unit(param: "Param", prior: Any, text: str) -> Any:
    from scalefit.laws import nats

    if param.unit == "nats":
        return nats(prior)
    if param.unit != "1":
        raise OptionError(
            f"{param.name}={text}: {param.name} is measured in {param.unit}, so that its prior depends on other "
            "parameters. Give one of a loss or of an exponent, or use sf.Model(priors=...) in Python."
        )
    return prior


def _number(param: "Param", text: str) -> float:
    from math import isfinite

    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if not isfinite(number):
        raise OptionError(f"{text.strip()!r} is no number for {param.name}. Write one, as in {param.name}=0.34.")
    return number
