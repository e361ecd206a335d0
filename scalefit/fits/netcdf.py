"""A fit as one netCDF file and back, and as an ArviZ DataTree. xarray lives here; nothing is ever unpickled."""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from scalefit._aot import cached_jit
from scalefit._atomic import atomic_path
from scalefit._precision import precision
from scalefit._random import prng_key
from scalefit.diagnostics.checks import Check, Health
from scalefit.errors import DataError, ScalefitError, StorageError
from scalefit.fits.fit import Fit
from scalefit.laws import Law, Prior, find_law
from scalefit.model.data import Data, Theta
from scalefit.model.discrepancy import Discrepancy
from scalefit.model.model import Model
from scalefit.model.noise import find_noise
from scalefit.runs import Runs

if TYPE_CHECKING:
    import xarray as xr


FORMAT = "scalefit fit"
FORMAT_VERSION = 1
SAMPLE = ("chain", "draw")


def save(fit: Fit, path: str | Path) -> Path:
    """Write a fit to one netCDF file: draws to the bit, model, priors, the table and its fingerprint, seed, versions.

    Raises `FitError` where the place cannot be written; no half file is left behind.
    """
    path, tree = Path(path), _tree(fit)
    try:
        with atomic_path(path) as unfinished:
            tree.to_netcdf(unfinished, engine="h5netcdf")
    except (OSError, ValueError) as problem:
        reason = getattr(problem, "strerror", None) or problem
        raise StorageError(f"cannot write {path}: {reason}; choose a folder that exists.") from problem
    return path


def load(path: str | Path) -> Fit:
    """Read a fit that `save` wrote. Raises `FitError` where the file is absent, corrupted, foreign or newer."""
    import xarray as xr

    path = Path(path)
    if not path.is_file():
        raise StorageError(f"there is no file {path}; make it with `scalefit fit RUNS -o {path.name}`.")
    try:
        with xr.open_datatree(path, engine="h5netcdf") as tree:
            tree = tree.load()
    except Exception as problem:  # h5py and xarray raise anything from OSError to KeyError on a broken file
        raise StorageError(f"{path} is not a readable netCDF file ({problem}); fit again.") from problem
    _check_origin(tree, path)
    try:
        return _fit(tree)
    except (KeyError, ValueError, TypeError, AttributeError, ScalefitError) as problem:
        raise StorageError(f"{path} is damaged or was edited ({problem}); fit again.") from problem


def to_datatree(fit: Fit) -> "xr.DataTree":
    """The fit in ArviZ's layout, with `log_loss` the observed variable.

    Groups: posterior, log_likelihood, log_prior, posterior_predictive, sample_stats, observed_data, constant_data.
    """
    import xarray as xr

    with precision():
        unit_draws = {name: jnp.asarray(values) for name, values in fit.bound.to_unit(fit.draws).items()}
        # Log loss in nats, as observed: the unit-free log loss differs by a constant, its density not at all.
        shift = np.log(fit.bound.unit["loss"])
        keys = jax.random.split(prng_key(fit.seed), next(iter(fit.draws.values())).shape)
        density, predicted, prior = _pointwise(fit.model, unit_draws, keys, fit.bound.data)
    tree = {f"/{name}": group.to_dataset() for name, group in _tree(fit).children.items() if name != "table"}
    inputs = {name: ("run", fit.runs[name]) for name in (*fit.model.law.inputs, "loss")}
    tree["/observed_data"] = xr.Dataset({"log_loss": ("run", np.log(fit.runs.loss))})
    tree["/constant_data"] = xr.Dataset(inputs)
    pointwise = (*SAMPLE, "run")
    real = slice(len(fit.runs))  # without the padding
    tree["/log_likelihood"] = xr.Dataset({"log_loss": (pointwise, np.asarray(density)[..., real])})
    tree["/posterior_predictive"] = xr.Dataset({"log_loss": (pointwise, np.asarray(predicted)[..., real] + shift)})
    tree["/log_prior"] = xr.Dataset({name: (SAMPLE, np.asarray(values)) for name, values in prior.items()})
    return xr.DataTree.from_dict({name: _numbered(dataset) for name, dataset in tree.items()})


@cached_jit("model")
def _pointwise(model: Model, theta: Theta, keys: Array, data: Data) -> tuple[Array, Array, Theta]:
    """Per draw: log likelihood and a replicate of every run, (chain, draw, run); log prior of every parameter."""

    def one(draw: Theta, key: Array) -> tuple[Array, Array, Theta]:
        replicate = model.noise.distribution(draw, model.log_mean(draw, data.x)).sample(key)
        return model.log_likelihood(draw, data), replicate, model.log_prior(draw)

    return jax.vmap(jax.vmap(one))(theta, keys)


def _numbered(dataset: "xr.Dataset") -> "xr.Dataset":
    return dataset.assign_coords({name: np.arange(size) for name, size in dataset.sizes.items()})


def _tree(fit: Fit) -> "xr.DataTree":
    """What cannot be computed again: draws, sampler statistics, the table, and how they came about."""
    import xarray as xr

    # Columns may be called anything, dimensions and slashes included: they go by number, their names by attribute.
    columns = {f"column_{index}": ("run", _storable(v)) for index, v in enumerate(fit.runs.columns.values())}
    groups = {
        "/": xr.Dataset(attrs=_attributes(fit)),
        "/posterior": xr.Dataset({name: (SAMPLE, values) for name, values in fit.draws.items()}),
        "/sample_stats": xr.Dataset({name: (SAMPLE, values) for name, values in fit.stats.items()}),
        "/table": xr.Dataset(columns, attrs={"columns": json.dumps(list(fit.runs.columns))}),
    }
    return xr.DataTree.from_dict(groups)


def _storable(values: np.ndarray) -> np.ndarray:
    return values.astype(object) if values.dtype.kind == "U" else values


def _attributes(fit: Fit) -> dict[str, Any]:
    if fit.model.law.name not in Law.registry:
        raise StorageError("a law that is a function cannot be saved; write it as a file under scalefit/laws/.")
    model = {
        "law": {"name": fit.model.law.name, "options": dict(vars(fit.model.law))},
        "noise": {"name": fit.model.noise.name, "options": dict(vars(fit.model.noise))},
        "discrepancy": None if fit.model.discrepancy is None else asdict(fit.model.discrepancy),
        "priors": {name: {"family": p.family, "settings": dict(p.settings)} for name, p in fit.model.priors},
    }
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "kind": fit.kind,
        "model": json.dumps(model),
        "engine": fit.engine,
        "seed": fit.seed,
        "versions": json.dumps(fit.versions),
        "health": json.dumps([asdict(check) for check in fit.health.checks]),
        "table": fit.runs.name,
        "notes": json.dumps(fit.runs.notes),
        "convention": fit.runs.convention or "",
        "fingerprint": fit.runs.fingerprint,
        "draws_digest": _digest({**fit.draws, **fit.stats}),
    }


def _digest(arrays: dict[str, np.ndarray]) -> str:
    """SHA-256 of names, shapes and values: a damaged file is noticed."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(f"{name}:{arrays[name].shape}:".encode() + np.ascontiguousarray(arrays[name], float).tobytes())
    return digest.hexdigest()


def _check_origin(tree: "xr.DataTree", path: Path) -> None:
    if tree.attrs.get("format") != FORMAT:
        raise StorageError(f"{path} was not written by scalefit; give a file made with `scalefit fit RUNS -o FILE`.")
    written = np.asarray(tree.attrs.get("format_version", 0)).item()
    if not isinstance(written, int) or written > FORMAT_VERSION:
        raise StorageError(f"{path} has format {written}, newer than the {FORMAT_VERSION} read here; upgrade scalefit.")


def _fit(tree: "xr.DataTree") -> Fit:
    attrs = tree.attrs
    names = json.loads(tree["table"].attrs["columns"])
    table = tree["table"].to_dataset()
    columns = {name: _column(table[f"column_{index}"].values) for index, name in enumerate(names)}
    convention = attrs.get("convention") or None  # files of before it was kept have none
    runs = Runs(columns, attrs["table"], tuple(json.loads(attrs["notes"])), convention)
    if runs.fingerprint != attrs["fingerprint"]:
        raise DataError("its table does not match its fingerprint")
    draws = {str(name): array.values for name, array in tree["posterior"].data_vars.items()}
    stats = {str(name): array.values for name, array in tree["sample_stats"].data_vars.items()}
    if _digest({**draws, **stats}) != attrs["draws_digest"]:
        raise DataError("its draws do not match their digest")
    model = _model(json.loads(attrs["model"]))
    if set(draws) != {p.name for p in model.params()}:
        raise StorageError("its draws are not those of its model")
    return Fit(
        draws={p.name: draws[p.name] for p in model.params()},
        kind=attrs["kind"],
        model=model,
        runs=runs,
        stats=stats,
        engine=attrs["engine"],
        seed=int(attrs["seed"]),
        versions=json.loads(attrs["versions"]),
        health=Health(tuple(Check(**check) for check in json.loads(attrs["health"]))),
    )


def _column(values: np.ndarray) -> np.ndarray:
    return values if values.dtype.kind == "f" else values.astype(str)


def _model(stored: dict[str, Any]) -> Model:
    priors = {name: Prior.of(prior["family"], **prior["settings"]) for name, prior in stored["priors"].items()}
    law, noise, scales = stored["law"], stored["noise"], stored["discrepancy"]
    found = scales and Discrepancy.of(scales)
    return Model(find_law(law["name"], **law["options"]), find_noise(noise["name"], **noise["options"]), priors, found)
