"""The house holds: modules import only from lower floors, heavy libraries stay in their rooms."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "scalefit"
MODULES = sorted(
    path.relative_to(ROOT) for path in ROOT.rglob("*.py") if path.name != "__init__.py" or path.parent != ROOT
)

FLOORS = {
    "errors": 0, "units": 0, "_files": 0, "_numerics": 0, "_programs": 0, "counting": 0, "hardware": 1,
    "runs": 1, "laws": 1, "noise": 1, "discrepancy": 1,
    "read": 2, "datasets": 2, "model": 2, "frontier": 2,
    "convergence": 2, "health": 3, "fitted": 3,
    "infer": 4, "store": 4, "approaches": 4, "reconciliation": 4,
    "planning": 5, "check": 5, "downstream": 5, "inference_compute": 5,
    "tables": 6, "wording": 6,
    "plots": 7, "advice": 7,
    "cli": 9,
}  # fmt: skip
# On one floor, these may be used by those who share it.
WITHIN = {
    ("discrepancy", "laws"),
    ("_programs", "_files"),
    ("_numerics", "errors"), ("units", "errors"), ("counting", "errors"), ("counting", "units"),
    ("noise", "laws"), ("datasets", "read"), ("fitted", "health"),
    ("inference_compute", "downstream"),
}  # fmt: skip
# Convenience methods of results: one-liners that import the room they name.
DOORS = {
    ("fitted", "tables"),
    ("fitted", "store"),
    ("fitted", "infer"),
    ("frontier", "tables"),
    ("planning", "tables"),
    ("approaches", "tables"),
    ("reconciliation", "tables"),
    ("check", "tables"),
    ("downstream", "tables"),
    ("inference_compute", "tables"),
    ("infer", "tables"),
}
FENCES = {
    "pandas": {"read", "tables", "cli"},
    "numpyro": {"laws", "noise", "model", "infer", "convergence"},
    "blackjax": {"infer"},
    "arviz_stats": {"store"},
    "arviz_base": {"store"},
    "xarray": {"store"},
    "matplotlib": {"plots"},
    "rich": {"cli", "infer"},
    "typer": {"cli"},
}
LIGHT = {"read": {"pandas"}, "store": {"xarray"}, "noise": {"numpyro"}, "infer": {"numpyro", "blackjax"}}


def room(path: Path) -> str:
    return path.parts[0].removesuffix(".py")


def imports(path: Path):
    """(module, is inside a function) of every import that runs."""
    tree = ast.parse((ROOT / path).read_text())
    typing_only = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and getattr(block.test, "id", "") == "TYPE_CHECKING"
        for node in ast.walk(block)
    }
    inside = {id(n) for f in ast.walk(tree) if isinstance(f, ast.FunctionDef) for n in ast.walk(f)}
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            yield from ((alias.name, id(node) in inside) for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            yield from ((f"{node.module}.{alias.name}", id(node) in inside) for alias in node.names)


def rooms_of(name: str) -> str | None:
    """The room of scalefit that an import leads to, None for another package; `from scalefit import x` leads to x."""
    parts = name.split(".")
    return parts[1] if parts[0] == "scalefit" and len(parts) > 1 else None


def breach(path: Path, name: str, inside: bool) -> bool:
    here, there = room(path), rooms_of(name)
    if there is None or there == here or here == "cli":
        return False
    if (here, there) in DOORS:
        return not inside
    return not (FLOORS[there] < FLOORS[here] or (here, there) in WITHIN)


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_imports_lead_down(path):
    assert room(path) in FLOORS, "give the new room a floor"
    assert not [name for name, inside in imports(path) if breach(path, name, inside)]


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_members_of_a_folder_share_only_private_files(path):
    """A law or engine knows its contract, not its neighbours."""
    if room(path) not in ("laws", "plots") or path.name == "__init__.py":
        return
    neighbours = [name.split(".")[2] for name, _ in imports(path) if name.startswith(f"scalefit.{room(path)}.")]
    assert all(name.startswith("_") for name in neighbours)


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_heavy_libraries_stay_in_their_rooms(path):
    for name, inside in imports(path):
        package = name.split(".")[0]
        assert room(path) in FENCES.get(package, {room(path)}), f"{package} does not belong here"
        assert inside or package not in LIGHT.get(room(path), set()), f"import {package} inside the function"


def test_the_test_sees_a_breach():
    assert breach(Path("laws/chinchilla.py"), "scalefit.model.model.Model", True)
    assert breach(Path("fitted.py"), "scalefit.tables.fit_table", False)
    assert not breach(Path("fitted.py"), "scalefit.tables.fit_table", True)
    assert breach(Path("planning/decide.py"), "scalefit.plots.surface", True)


def test_import_is_light():
    heavy = "arviz_stats arviz_base pandas matplotlib xarray numpyro blackjax jax"
    code = f"import scalefit, sys; print([m for m in {heavy.split()!r} if m in sys.modules])"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )


def test_every_public_name_loads():
    import scalefit

    for name in scalefit.__all__:
        assert getattr(scalefit, name) is not None
    assert set(scalefit.__all__) <= set(dir(scalefit))
    with pytest.raises(AttributeError):
        _ = scalefit.nothing
