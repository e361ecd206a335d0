"""Answers as xarray: named dimensions, coordinates, and the unit and meaning of every variable."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from scalefit._quantities import quantity

if TYPE_CHECKING:
    import xarray as xr

Variables = Mapping[str, tuple[str | tuple[str, ...], Any]]


def labelled(
    variables: Variables,
    coords: Variables = MappingProxyType({}),
    attrs: Mapping[str, Any] = MappingProxyType({}),
    units: Mapping[str, str] = MappingProxyType({}),
) -> "xr.Dataset":
    """A data set whose variables have units and names in words.

    Parameters
    ----------
    variables, coords
        Name -> (dimensions, values). A dimension without coordinates is numbered.
    attrs
        Of the data set; truth values become 0 and 1, for netCDF has none.
    units
        Name -> unit, where the name of a variable does not settle it.

    Returns
    -------
    xarray.Dataset
        Every variable and coordinate has the attributes `units` ("1" for shares and pure numbers) and `long_name`.
    """
    import xarray as xr

    described = {
        name: xr.Variable(dims, values, _described(name, units.get(name)))
        for name, (dims, values) in {**variables, **coords}.items()
    }
    found = xr.Dataset(described, attrs={name: _storable(value) for name, value in attrs.items()}).set_coords(
        list(coords)
    )
    return found.assign_coords({name: np.arange(n) for name, n in found.sizes.items() if name not in found.coords})


def _described(name: str, unit: str | None) -> dict[str, str]:
    known = quantity(name, unit)
    return {"units": "1" if known.unit == "share" else known.unit, "long_name": known.meaning}


def _storable(value: Any) -> Any:
    return int(value) if isinstance(value, bool) else value
