"""The house holds: imports lead down, inside rooms too; there are no circles; heavy libraries stay behind fences.

Every rule is a function of a folder, so that a test can plant a breach of it and see it found.
"""

import ast
import graphlib
import statistics
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1] / "scalefit"
BENCHMARKS = Path(__file__).parents[1] / "benchmarks"

# From the ground up: a room may import from those before it, and from itself.
ROOMS = (
    "errors", "_interrupt", "_registry", "loss_units", "_bad_cells", "_row_errors", "_copies", "_atomic",
    "_program_files", "_blas", "_netcdf", "_aot", "units", "_precision", "_random", "_roots", "_batching", "_intervals",
    "_digits", "_quantities", "_tables", "_labelled", "_display", "_results", "hardware", "counting", "runs", "io",
    "laws", "costs", "numerics", "model", "diagnostics", "sampling", "frontier", "fits", "infer", "planning", "recipes",
    "downstream", "validation", "text", "plots", "reports", "cli",
)  # fmt: skip
# Inside these rooms a public file knows private ones only, not its neighbours: a law, a question, a picture, a command.
STRANGERS = ("laws", "planning", "plots", "cli", "infer")
# But for what is built of another: an engine of engines, a law of laws, a plan's parts.
BUILT_OF = {
    "infer/_contracts": {"batch"},
    "infer/many": {"batch"},
    "infer/auto": {"ais", "nuts"},
    "infer/bootstrap": {"huber"},
    "infer/least_squares": {"huber"},
    "laws/kaplan": {"kaplan_n", "kaplan_d"},
    "laws/kaplan_steps": {"kaplan_n"},
    "planning/plan": {"assumptions", "constraints", "data_wall", "deployment"},
    "planning/deployment": {"constraints"},
    "planning/target": {"assumptions"},
    "planning/lifetime": {"assumptions"},
    "planning/audit": {"assumptions"},
    "planning/compare_runs": {"assumptions"},
    "planning/rules_of_thumb": {"assumptions"},
    "planning/_allocation": {"constraints"},
    "planning/next_runs": {"assumptions", "constraints"},
    "planning/_next_runs": {"assumptions"},
}
FENCES = {
    "pandas": {
        "io", "_tables", "_display", "hardware", "cli", "runs", "frontier", "fits", "infer", "planning", "downstream",
        "validation", "diagnostics", "recipes",
    },
    "numpyro": {"laws", "model", "infer", "sampling", "diagnostics", "downstream"},
    "blackjax": {"numerics", "infer"},
    "arviz_stats": {"fits", "validation"},
    "arviz_base": {"fits", "validation"},
    "xarray": {"fits", "validation", "frontier", "planning", "infer", "recipes", "_labelled"},
    "matplotlib": {"plots"},
    "plotly": {"reports"},
    "jinja2": {"reports"},
    "rich": {"cli", "infer"},
    "typer": {"cli"},
}  # fmt: skip
# Loaded where they are used only, so that importing the package stays light.
INSIDE_FUNCTIONS = ("pandas", "xarray", "arviz_stats", "arviz_base", "blackjax", "polars", "jsonschema")
LONGEST, MEDIAN = 300, 100


class Import(NamedTuple):
    """What is imported by which file, whether inside a function, whether for type checkers only."""

    path: Path
    name: str
    inside: bool
    typing: bool


def imports(root: Path) -> list[Import]:
    paths = sorted(root.rglob("*.py"))
    return [each for path in paths for each in imports_of(path.relative_to(root), path.read_text())]


@cache
def imports_of(path: Path, text: str) -> list[Import]:
    """Of one file; a rule looks at all files again, most of them as they were."""
    found, tree = [], ast.parse(text)
    functions = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)]
    inside = {id(node) for function in functions for node in ast.walk(function)}
    guarded = [n for n in ast.walk(tree) if isinstance(n, ast.If) and getattr(n.test, "id", "") == "TYPE_CHECKING"]
    typing = {id(node) for block in guarded for node in ast.walk(block)}
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        if isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        found += [Import(path, name, id(node) in inside, id(node) in typing) for name in names]
    return found


def room(path: Path) -> str:
    return path.parts[0].removesuffix(".py")


def own(root: Path) -> list[tuple[Import, Path]]:
    """Imports of the package itself, with the file that each leads to."""
    found = []
    for each in imports(root):
        parts = each.name.split(".")
        if parts[0] != "scalefit" or len(parts) == 1:
            continue
        whole, module = (Path(*some) for some in (parts[1:], parts[1:-1] or ["__init__"]))
        for target in (
            whole.with_suffix(".py"),
            whole / "__init__.py",
            module.with_suffix(".py"),
            module / "__init__.py",
        ):
            if (root / target).is_file():
                found.append((each, target))
                break
    return found


def rooms_without_a_floor(root: Path) -> list[str]:
    return sorted({room(path.relative_to(root)) for path in root.rglob("*.py")} - {*ROOMS, "__init__", "__main__"})


def upward(root: Path) -> list[str]:
    """Imports of a room above; those of the package itself (`import scalefit as sf`) are the command line's alone."""
    floor = {name: number for number, name in enumerate(ROOMS)}
    found = [
        f"{each.path} imports the package"
        for each in imports(root)
        if each.name == "scalefit" and room(each.path) not in ("cli", "__main__")
    ]
    for each, target in own(root):
        if room(each.path) in floor and room(target) in floor and floor[room(target)] > floor[room(each.path)]:
            found.append(f"{each.path} imports {each.name}")
    return found


def neighbours(root: Path) -> list[str]:
    """Imports of a public file by a public file of the same room, where files are strangers."""
    found = []
    for each, target in own(root):
        here = room(each.path)
        if here not in STRANGERS or room(target) != here or "__init__.py" in (each.path.name, target.name):
            continue
        allowed = BUILT_OF.get(str(each.path.with_suffix("")), set())
        private = target.stem.startswith("_") or (here == "laws" and each.path.stem == "_law")
        if not private and target.stem not in allowed and not (here == "laws" and each.path.stem == "__init__"):
            found.append(f"{each.path} imports {each.name}")
    return found


def circles(root: Path) -> list[str]:
    """The first circle of files that import each other; imports inside functions and for type checkers count."""
    graph: dict[str, set[str]] = {}
    for each, target in own(root):
        if target != each.path:
            graph.setdefault(str(each.path), set()).add(str(target))
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as circle:
        return list(circle.args[1])
    return []


def outside_fences(root: Path) -> list[str]:
    found = []
    for each in imports(root):
        package = each.name.split(".")[0]
        if room(each.path) not in FENCES.get(package, {room(each.path)}) and not each.typing:
            found.append(f"{each.path} imports {package}")
    return found


def heavy_at_import(root: Path) -> list[str]:
    return [
        f"{each.path} imports {each.name}"
        for each in imports(root)
        if each.name.split(".")[0] in INSIDE_FUNCTIONS and not each.inside and not each.typing
    ]


def private_imports(root: Path) -> list[str]:
    """Imports of a private name or module of the package."""
    found = []
    for each in imports(root):
        parts = each.name.split(".")
        if parts[0] == "scalefit" and any(part.startswith("_") for part in parts[1:]):
            found.append(f"{each.path} imports {each.name}")
    return found


def private_names_across_files(root: Path) -> list[str]:
    """Imports of a function or class whose name begins with an underscore; private modules are shared inside rooms."""
    found = [(each, each.name.split(".")[-1], target) for each, target in own(root)]
    private = [
        each for each, name, target in found if name.startswith("_") and name not in (target.stem, "__version__")
    ]
    return [f"{each.path} imports {each.name}" for each in private]


def private_modules_across_rooms(root: Path) -> list[str]:
    """Imports of another room's private module; those on the ground floor are tools for all."""
    return [f"{each.path} imports {each.name}" for each, target in own(root)
            if len(target.parts) > 1 and target.stem.startswith("_") and target.stem != "__init__"
            and room(target) != room(each.path)]  # fmt: skip


def sizes(root: Path) -> tuple[list[str], float]:
    """Files longer than the longest allowed, and the median length."""
    lines = {str(path.relative_to(root)): path.read_text().count("\n") for path in root.rglob("*.py")}
    return [name for name, count in lines.items() if count > LONGEST], statistics.median(lines.values())


RULES = {
    "every room has a floor": rooms_without_a_floor,
    "imports lead down": upward,
    "neighbours are strangers": neighbours,
    "no circles": circles,
    "fences": outside_fences,
    "light import": heavy_at_import,
    "no private name crosses files": private_names_across_files,
    "no private module crosses rooms": private_modules_across_rooms,
    "files are short": lambda root: sizes(root)[0],
}
UP = "def f():\n    from scalefit.model.model import Model\n"
TYPES = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from scalefit.fits.fit import Fit"
PLANTED = {
    "every room has a floor": {"attic/box.py": ""},
    "imports lead down": {"laws/chinchilla.py": UP, "model/model.py": "Model = 1"},
    "neighbours are strangers": {
        "planning/plan.py": "from scalefit.planning.target import target",
        "planning/target.py": "target = 1",
    },
    "no circles": {"fits/fit.py": "def save():\n    from scalefit.fits.netcdf import save", "fits/netcdf.py": TYPES},
    "fences": {"planning/plan.py": "def f():\n    import matplotlib.pyplot"},
    "light import": {"fits/fit.py": "import pandas as pd"},
    "no private name crosses files": {
        "fits/fit.py": "from scalefit.fits.predictive import _density",
        "fits/predictive.py": "_density = 1",
    },
    "no private module crosses rooms": {
        "text/plans.py": "from scalefit.planning._solve import x",
        "planning/_solve.py": "x = 1",
    },
    "files are short": {"fits/fit.py": "x = 1\n" * (LONGEST + 1)},
}


@pytest.mark.parametrize("rule", RULES)
def test_rule_holds(rule):
    assert RULES[rule](ROOT) == []


@pytest.mark.parametrize("rule", RULES)
def test_a_planted_breach_is_seen(rule, tmp_path):
    for name, content in PLANTED[rule].items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    assert RULES[rule](tmp_path)


def test_the_rules_look_at_every_file():
    """Each file of the package is seen, and nearly each imports another: the rules do not hold for want of looking."""
    files = {path.relative_to(ROOT) for path in ROOT.rglob("*.py")}
    importing = {each.path for each, _ in own(ROOT)}
    assert len(importing) > 0.85 * len(files)


def test_the_median_file_is_short():
    assert sizes(ROOT)[1] < MEDIAN


def test_benchmarks_use_public_names(tmp_path):
    assert private_imports(BENCHMARKS) == []
    (tmp_path / "speed.py").write_text("from scalefit.infer._contracts import Report")
    assert private_imports(tmp_path)


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
