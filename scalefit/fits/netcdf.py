"""A fit as one netCDF file and back, and how a model, a table and checks are written; nothing is ever unpickled."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar, get_args

import jax
import numpy as np

from scalefit._netcdf import Contents, Group, Variable, from_netcdf, reading, write_file
from scalefit._precision import precision
from scalefit._registry import lookup
from scalefit.diagnostics.checks import SEVERITY, Check, Health
from scalefit.errors import OptionError, StorageError
from scalefit.fits._draws import Draws, Kind
from scalefit.laws import Law, stored_prior
from scalefit.loss_units import NATS
from scalefit.model.clusters import Clustered, of_single_runs
from scalefit.model.discrepancy import Discrepancy
from scalefit.model.model import Model
from scalefit.model.noise import Noise
from scalefit.runs import Runs

FORMAT = "scalefit fit"
FORMAT_VERSION = 2  # of fits and of batches
SAMPLE = ("chain", "draw")
JOINT = "fit_recipes"  # engine of fits whose draws with discrepancy are those of several tables together
R = TypeVar("R")
LARGEST_OPTION = 1000  # a law's; a file could otherwise name one of a billion parameters


def save(fit: Draws, path: str | Path) -> Path:
    """Write a fit to one netCDF file, complete or not at all.

    Parameters
    ----------
    fit
        Its draws are kept to the bit, with its table, model, engine, seed, versions and health.
    path
        Where to; a file there is replaced.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    StorageError
        The place cannot be written, the fit's law is a function, or the fit is one of several recipes.

    Notes
    -----
    Groups: posterior and sample_stats, each variable (chain, draw); runs, the table's columns by number, (run,), their
    names in its attribute `table`. The root's attributes hold the rest, as JSON where it is not a text or a number.
    """
    if fit.engine == JOINT:
        raise StorageError(
            "the fit of one recipe of several cannot be saved alone. Save all of them, the result of fit_recipes."
        )
    group = group_of(fit)
    root = group._replace(attrs={"format": FORMAT, "format_version": FORMAT_VERSION, **group.attrs})
    write_file(path := Path(path), root, FORMAT_VERSION)
    return path


def group_of(fit: Draws) -> Group:
    """A fit as a group, which `fields_of` reads; raises `StorageError` where its law is a function."""
    attrs: dict[str, str | int] = {
        "kind": fit.kind,
        "model": encode_model(fit.model),
        "engine": fit.engine,
        "seed": fit.seed,
        "versions": json.dumps(dict(fit.versions)),
        "health": encode_checks(fit.health.checks),
    }
    units = fit.param_units
    groups = {
        "posterior": Group({}, {k: Variable(SAMPLE, v, {"units": units[k]}) for k, v in fit.draws.items()}),
        "sample_stats": Group({}, {k: Variable(SAMPLE, v) for k, v in fit.stats.items()}),
        "runs": Group({"table": json.dumps(about_table(fit.runs))}, encode_columns([fit.runs])),
    }
    return Group(attrs, {}, groups)


def read(path: str | Path, decoders: Mapping[str, Callable[[Contents], R]], command: str = "fit") -> R:
    """What a file contains, by its format.

    Parameters
    ----------
    path
        The file.
    decoders
        Format -> what makes its contents a result; it may raise anything.
    command
        What writes such files.

    Raises
    ------
    StorageError
        The file is absent, damaged, edited, foreign or of another format.
    """
    path = Path(path)
    with reading(path, f"give a file that `scalefit {command} RUNS -o FILE` wrote, or fit again") as file:
        contents = from_netcdf(file, FORMAT_VERSION)
        if (found := contents.attrs["format"]) not in decoders:
            raise StorageError(f"it is a {found}, not a {' or a '.join(decoders)}")
        return decoders[found](contents)


def fields_of(contents: Contents) -> dict[str, Any]:
    """The fields of `Draws`, by name, from what `group_of` wrote; raises any error on what it did not."""
    attrs, groups = contents.attrs, contents.groups
    model, draws, stats = decode_model(attrs["model"]), groups["posterior"].arrays, groups["sample_stats"].arrays
    if {p.name for p in model.params()} != set(draws) or any(v.dtype.kind != "f" for v in draws.values()):
        raise StorageError("its draws are not those of its model")
    if [len(shape) for shape in {values.shape for values in (*draws.values(), *stats.values())}] != [2]:
        raise StorageError("its draws differ in shape, or have no chains")
    if not all((draws[p.name] > 0).all() for p in model.noise.params()):
        raise StorageError("its noise is not positive")
    if attrs["kind"] not in get_args(Kind):
        raise StorageError("its kind of draws is unknown")
    versions = json.loads(attrs["versions"])
    return {
        "draws": {p.name: draws[p.name] for p in model.params()},
        "kind": attrs["kind"],
        "model": model,
        "runs": decode_table(json.loads(groups["runs"].attrs["table"]), groups["runs"].arrays),
        "stats": stats,
        "engine": str(attrs["engine"]),
        "seed": checked_seed(attrs["seed"]),
        "versions": {str(name): str(version) for name, version in versions.items()},
        "health": Health(decode_checks(json.loads(attrs["health"]))),
    }


def encode_model(model: Model, by_digest: bool = False) -> str:
    """A model as JSON, which `decode_model` reads.

    Parameters
    ----------
    model
        Of a law and a noise that are registered by name.
    by_digest
        Take any law: of a function there is then a digest, by which the same one is known in another process.

    Raises
    ------
    StorageError
        Its law or noise cannot be found by name again.
    """
    unnamed = by_digest and Law.registry.get(model.law.name) is not type(model.law)
    stored: dict[str, Any] = {
        "law": _digest_of(model.law) if unnamed else _by_name(model.law, Law.registry, "a law that is a function"),
        "noise": _by_name(of_single_runs(model.noise), Noise.registry, "this noise"),
        "discrepancy": None if model.discrepancy is None else asdict(model.discrepancy),
        "priors": {name: prior.stored() for name, prior in model.priors},
    }
    if isinstance(model.noise, Clustered):
        stored["clusters"] = True
    try:
        return json.dumps(stored)
    except TypeError as problem:
        raise StorageError(
            f"this model cannot be saved: {problem}. Use options that are texts or numbers."
        ) from problem


def decode_model(text: str) -> Model:
    """The inverse of `encode_model`; raises any error on a text that it did not write."""
    stored = json.loads(text)
    if "sha256" in stored["law"]:
        raise OptionError(
            "its law is a function, which no file contains. Call fit_many with the same arguments again, or choose "
            "another folder"
        )
    if any(abs(v) > LARGEST_OPTION for v in stored["law"]["options"].values() if isinstance(v, int | float)):
        raise StorageError("its law has an option out of range")
    law: Law = lookup(stored["law"]["name"], Law.registry, "law")(**options_of(stored["law"]))
    noise: Noise = lookup(stored["noise"]["name"], Noise.registry, "noise")(**options_of(stored["noise"]))
    priors = {name: stored_prior(prior) for name, prior in stored["priors"].items()}
    scales = stored["discrepancy"]
    noise = Clustered(noise) if stored.get("clusters") else noise
    return Model(law, noise, priors, None if scales is None else Discrepancy.of(scales))


def options_of(stored: Mapping[str, Any]) -> dict[str, Any]:
    """The options of what is stored by its name; lists are tuples again, which can be hashed."""
    return {name: tuple(v) if isinstance(v, list) else v for name, v in stored["options"].items()}


def _by_name(value: Law | Noise, registry: Mapping[str, type], what: str) -> dict[str, Any]:
    if registry.get(value.name) is not type(value):
        raise StorageError(f"{what} cannot be saved. Write it as a file of its own, which registers it by name.")
    return {"name": value.name, "options": dict(vars(value))}


def _digest_of(law: Law) -> dict[str, Any]:
    """Of what a law computes, as lowered for CPU: constants from around its functions are in there."""
    number = jax.ShapeDtypeStruct((), "float64")
    theta, x = {p.name: number for p in law.params()}, dict.fromkeys(law.inputs, number)
    with precision("float64"):
        digest = hashlib.sha256(repr((type(law).__qualname__, law.inputs, law.params())).encode())
        for f, inputs in ((law.loss, x), (law.rescale, x | {"loss": number})):
            digest.update(jax.jit(f).trace(theta, inputs).lower(lowering_platforms=("cpu",)).as_text().encode())
    return {"sha256": digest.hexdigest()}


def encode_checks(checks: Iterable[Check]) -> str:
    """Checks as JSON."""
    return json.dumps([asdict(check) for check in checks])


def decode_checks(stored: list[dict[str, Any]]) -> tuple[Check, ...]:
    """Checks from what JSON kept of them; raises any error on what `encode_checks` did not write."""
    if wrong := [c for c in stored if c["verdict"] not in SEVERITY or not isinstance(c["value"], float | int)]:
        raise StorageError(f"its check {wrong[0]['name']} has no such verdict or number")
    return tuple(Check(str(c["name"]), c["verdict"], c["value"], str(c["sentence"])) for c in stored)


def about_table(runs: Runs) -> dict[str, Any]:
    """What a table has beside the values of its columns, for JSON."""
    about = {"name": runs.name, "notes": runs.notes, "convention": runs.convention, "unit": runs.unit}
    errors = {"cluster": runs.cluster, "weight": runs.weight, "sd": runs.sd}
    about |= {name: value for name, value in errors.items() if value}
    return {**about, "fingerprint": runs.fingerprint, "columns": list(runs.columns)}


def encode_columns(tables: Sequence[Runs]) -> dict[str, Variable]:
    """The columns of tables that have the same ones, one table after the other, (run,).

    A column may be called anything, a dimension or a path included: variables go by number.
    """
    return {
        f"column_{i}": Variable(
            ("run",), np.concatenate([t.columns[name] for t in tables]), {"long_name": name.replace("\0", "")}
        )
        for i, name in enumerate(tables[0].columns)
    }


def decode_table(about: dict[str, Any], arrays: Mapping[str, np.ndarray], rows: slice = slice(None)) -> Runs:
    """The table at those rows of the columns; raises `StorageError` where it is not the one that was written."""
    columns = {name: arrays[f"column_{i}"][rows] for i, name in enumerate(about["columns"])}
    notes, unit = tuple(map(str, about["notes"])), str(about.get("unit", NATS))  # older files have no unit
    errors = tuple(map(str, about.get("cluster", ()))), about.get("weight"), about.get("sd")
    runs = Runs(columns, str(about["name"]), notes, about["convention"], unit, *errors)
    if runs.fingerprint != about["fingerprint"]:
        raise StorageError("its table does not match its fingerprint")
    return runs


def checked_seed(seed: Any) -> int:
    """A seed as it was read; raises `StorageError` where it is none."""
    if not isinstance(seed, int) or not 0 <= seed < 2**63:
        raise StorageError("its seed is not a whole number from 0 to 2^63 - 1")
    return seed
