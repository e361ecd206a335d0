"""netCDF files, written in memory and read with every declared size checked. h5py and h5netcdf live here.

A file is netCDF-4 without compression, and a line after its end, which netCDF readers skip, with the SHA-256 of all
before it. A damaged or edited file is noticed before HDF5, which crashes or loops on some of those, sees any of it.
"""

import hashlib
import io
import re
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from scalefit._atomic import atomic_write
from scalefit.errors import OptionError, StorageError

SIGNATURE = b"\x89HDF\r\n\x1a\n"
LAST_LINE = re.compile(rb"\nscalefit format (\d{4}) sha256 ([0-9a-f]{64})\n", re.ASCII)
LAST_LINE_BYTES = 94
DEPTH = 4  # of groups in groups


class Variable(NamedTuple):
    """An array (or a list of equal ones, to be stacked) with named dimensions; text, numbers or truth values."""

    dims: tuple[str, ...]
    values: ArrayLike
    attrs: Mapping[str, str] = {}


class Group(NamedTuple):
    """What to write: attributes, variables by name, groups by name. Groups see the dimensions of those around them."""

    attrs: Mapping[str, str | int] = {}
    variables: Mapping[str, Variable] = {}
    groups: Mapping[str, "Group"] = {}


class Contents(NamedTuple):
    """What was read: as `Group`, the variables as arrays."""

    attrs: dict[str, Any]
    arrays: dict[str, np.ndarray]
    groups: dict[str, "Contents"]


def to_netcdf(root: Group, version: int) -> memoryview:
    """The bytes of a netCDF file.

    Parameters
    ----------
    root
        What to write.
    version
        Of the format, which `from_netcdf` compares.

    Raises
    ------
    ValueError, TypeError
        Something in it cannot be written, such as an array of objects.
    """
    import h5netcdf

    buffer = io.BytesIO()
    with h5netcdf.File(buffer, "w") as file:
        _write(file, root)
    digest = hashlib.sha256(buffer.getbuffer()).hexdigest()
    buffer.seek(0, io.SEEK_END)
    buffer.write(f"\nscalefit format {version:04d} sha256 {digest}\n".encode())
    return buffer.getbuffer()


def from_netcdf(file: Any, version: int) -> Contents:
    """The contents of a file that `to_netcdf` wrote.

    Parameters
    ----------
    file
        Open, seekable.
    version
        The format that is read.

    Raises
    ------
    StorageError
        The file is of another format, was damaged or edited, or was never written by `to_netcdf`.
    """
    import h5py

    _check_digest(file, version)
    with h5py.File(file, "r") as opened:
        return _Reader(file.seek(0, io.SEEK_END)).contents(opened, DEPTH)


def write_file(path: Path, root: Group, version: int) -> None:
    """Write a netCDF file, complete or not at all; raises `StorageError` where that fails."""
    try:
        atomic_write(path, to_netcdf(root, version))
    except (OSError, ValueError, TypeError) as problem:
        reason = _short(getattr(problem, "strerror", None) or problem)
        raise StorageError(
            f"cannot write {shown(path)}: {reason}. Choose a folder that exists and has room."
        ) from problem


@contextmanager
def reading(path: Path, remedy: str) -> Iterator[BinaryIO]:
    """A file to read, whose every fault becomes a `StorageError` of one short sentence that ends in the remedy."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # a device or a pipe would be read for ever
            raise StorageError("it is not a file")
        with path.open("rb") as file:
            yield file
    except Exception as problem:  # h5py, json and whatever is made of their values raise anything on a hostile file
        reason = getattr(problem, "strerror", None) or str(problem) or type(problem).__name__
        if isinstance(problem, KeyError):
            reason = f"it lacks {reason}"
        remedy = "" if isinstance(problem, OptionError) else f"; {remedy}"  # which has its own
        raise StorageError(f"cannot read {shown(path)}: {_short(reason)}{remedy}.") from problem


def shown(path: str | Path) -> str:
    """A path as a sentence has room for it."""
    return text if len(text := str(path)) <= 120 else f"...{text[-117:]}"


def _short(reason: object) -> str:
    text = " ".join(str(reason)[:1000].split()).rstrip(".")
    return text if len(text) <= 160 else f"{text[:157]}..."


def _write(group: Any, content: Group) -> None:
    for name, value in content.attrs.items():
        group.attrs[name] = value if isinstance(value, str) else np.int64(value)
    for name, (dims, given, attrs) in content.variables.items():
        values, attrs = np.asarray(given), dict(attrs)
        if values.dtype == bool:
            values, attrs["dtype"] = values.astype(np.int8), "bool"  # as xarray does
        if values.dtype.kind == "U":
            values, attrs["_Encoding"] = _characters(values), "utf-8"
            dims = (*dims, f"string{values.shape[-1]}")
        for dim, size in zip(dims, values.shape, strict=True):
            if dim not in group.dims:
                group.dimensions[dim] = size
        group.create_variable(name, dims, values.dtype, data=values).attrs.update(attrs)
    for name, inner in content.groups.items():
        _write(group.create_group(name), inner)


def _characters(text: np.ndarray) -> np.ndarray:
    """Text as bytes of UTF-8, padded, along a further dimension."""
    encoded = np.char.encode(text, "utf-8") if text.size else text.astype("S1")
    encoded = np.ascontiguousarray(encoded.astype(f"S{max(1, encoded.dtype.itemsize)}"))
    return encoded.view("S1").reshape(*text.shape, encoded.dtype.itemsize)


def _check_digest(file: Any, version: int) -> None:
    size = file.seek(0, io.SEEK_END)
    file.seek(max(0, size - LAST_LINE_BYTES))
    last = LAST_LINE.fullmatch(file.read())
    file.seek(0)
    if file.read(len(SIGNATURE)) != SIGNATURE:
        raise StorageError("it is not a netCDF file that scalefit wrote")
    if last is None:
        raise StorageError("it has no SHA-256 of this format, so it is damaged, foreign or of an older scalefit")
    if (written := int(last[1])) != version:
        raise StorageError(f"it has format {written}, and this scalefit reads format {version}")
    digest, rest = hashlib.sha256(), size - LAST_LINE_BYTES
    file.seek(0)
    while rest and (block := file.read(min(rest, 1 << 20))):
        digest.update(block)
        rest -= len(block)
    if digest.hexdigest() != last[2].decode():
        raise StorageError("its contents do not match their SHA-256, so it is damaged or was edited")


class _Reader:
    """Reads what lies in a file as it is: no links, no compression, nothing twice, no more bytes than the file has."""

    def __init__(self, size: int) -> None:
        self.left, self.seen = size, set[int]()

    def contents(self, group: Any, depth: int) -> Contents:
        import h5py

        self._count(group)
        if not depth:
            raise ValueError("its groups are nested too deeply")
        attrs = {name: _attribute(group, name) for name in group.attrs if not name.startswith("_")}
        arrays, groups = {}, {}
        for name in group:
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise ValueError("it has a link to elsewhere")
            member = group[name]
            if isinstance(member, h5py.Group):
                groups[name] = self.contents(member, depth - 1)
            elif not ("CLASS" in member.attrs and not member.id.get_storage_size()):  # a dimension without values
                arrays[name] = self._array(member)
        return Contents(attrs, arrays, groups)

    def _count(self, member: Any) -> None:
        import h5py

        if (place := h5py.h5o.get_info(member.id).addr) in self.seen:
            raise ValueError("it has one group or variable in two places")
        self.seen.add(place)

    def _array(self, variable: Any) -> np.ndarray:
        from h5py import h5d

        self._count(variable)
        how, dtype = variable.id.get_create_plist(), variable.dtype
        plain = how.get_layout() in (h5d.COMPACT, h5d.CONTIGUOUS) and not how.get_external_count()
        bytes_stored = variable.size * dtype.itemsize
        if not plain or variable.id.get_storage_size() != bytes_stored or (dtype.kind not in "fiu" and dtype != "S1"):
            raise ValueError(f"its variable {variable.name} is not stored as plain numbers or text")
        self.left -= bytes_stored
        if self.left < 0:
            raise ValueError("its variables declare more bytes than the file has")
        values = variable[...]
        if dtype == "S1":
            text = np.ascontiguousarray(values).view(f"S{values.shape[-1]}")[..., 0]
            return np.char.decode(text, "utf-8")
        is_bool = "dtype" in variable.attrs and _attribute(variable, "dtype") == "bool"
        return values.astype(bool) if is_bool else values


def _attribute(member: Any, name: str) -> str | int:
    """An attribute that is one text or one whole number; its size is looked at before it is read."""
    import h5py

    stored = member.attrs.get_id(name)
    text = h5py.check_string_dtype(stored.dtype) is not None
    if stored.shape not in ((), (1,)) or not (text or stored.dtype.kind in "iu"):
        raise ValueError(f"its attribute {name} is neither a text nor a whole number")
    value = member.attrs[name]
    return str(value) if text else int(np.asarray(value).item())
