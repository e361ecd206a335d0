"""A digest of all that an executed page depends on besides its own text."""

import hashlib
from importlib.metadata import version
from pathlib import Path

import scalefit

PACKAGES = ("jax", "numpyro", "numpy", "pandas", "matplotlib", "scipy")


def digest() -> str:
    """Sixteen letters from the sources of scalefit, its tables and the versions it runs on."""
    found = hashlib.sha256(" ".join(version(name) for name in PACKAGES).encode())
    package = Path(scalefit.__file__).parent
    data = package.parent / "data"
    for path in sorted([*package.rglob("*.py"), *package.rglob("*.json"), *package.rglob("*.js"), *data.glob("*.csv")]):
        found.update(path.name.encode() + path.read_bytes())
    return found.hexdigest()[:16]
