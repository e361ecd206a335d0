"""The page's modules, style and data in one file: no build step, no network."""

import base64
import gzip
import hashlib
import json
import re
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from scalefit.errors import OptionError

MODULES = (
    "units", "quantiles", "laws", "discrepancy", "lines", "search", "optimum", "state", "model", "answer", "figures",
    "panels", "export", "controls", "main",
)  # fmt: skip
HOW = "pip install 'scalefit[report]'"
_IMPORT = re.compile(r"^import \{([^}]*)\} from \"\./(\w+)\.js\";\n", re.MULTILINE)
_EXPORT = re.compile(r"^export ((?:async )?function|const|class) (\w+)", re.MULTILINE)


def read(name: str) -> str:
    """A file of the page."""
    return files("scalefit.reports").joinpath("page", name).read_text(encoding="utf-8")


def script() -> str:
    """All modules as one script, each in a function of its own that returns what it exports."""
    parts = []
    for name in MODULES:
        text = _IMPORT.sub(lambda m: f"const {{{m[1].replace(' as ', ': ')}}} = {m[2]}_js;\n", read(f"{name}.js"))
        exported = ", ".join(match[2] for match in _EXPORT.finditer(text))
        body = _EXPORT.sub(r"\1 \2", text)
        parts.append(f"const {name}_js = (() => {{\n{body}return {{ {exported} }};\n}})();")
    return '"use strict";\n' + "\n".join(parts)


def json_text(document: Mapping[str, Any]) -> str:
    """JSON that HTML cannot mistake for markup: of ASCII, and without <, > and &."""
    text = json.dumps(document, allow_nan=False, separators=(",", ":"))
    return re.sub("[<>&]", lambda match: f"\\u{ord(match[0]):04x}", text)


def plotly_text() -> str:
    """The source of plotly.js, of the wheel.

    Raises
    ------
    OptionError
        plotly is not installed.
    """
    try:
        import plotly
    except ImportError:
        raise OptionError(f"the report's figures need plotly. Install it with {HOW}.") from None
    return (Path(plotly.__file__).parent / "package_data" / "plotly.min.js").read_text(encoding="utf-8")


def compressed(text: str) -> str:
    """Base64 of its gzip, the same bytes every time."""
    return base64.b64encode(gzip.compress(text.encode(), 9, mtime=0)).decode()


def source_hash(text: str) -> str:
    """A source for a content security policy: the one script that has this text."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def page(view: Mapping[str, Any], document: Mapping[str, Any], plotly: str = "inline") -> str:
    """The file.

    Parameters
    ----------
    view
        What the template shows.
    document
        The payload.
    plotly
        "inline", or the address of a plotly.js beside the page.

    Raises
    ------
    OptionError
        jinja2 or plotly is not installed.
    """
    try:
        import jinja2
    except ImportError:
        raise OptionError(f"the report needs jinja2. Install it with {HOW}.") from None
    own, source = script(), plotly_text() if plotly == "inline" else ""
    allowed = [source_hash(own), source_hash(source) if source else "file: 'self'"]
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string(read("template.html.j2"))
    return template.render(
        **view,
        style=read("page.css"),
        script=own,
        payload=json_text(document),
        plotly=compressed(source) if source else "",
        plotly_path="" if source else plotly,
        scripts=" ".join(allowed),
    )
