"""Sphinx settings. Every page with a kernel is executed, and a warning is an error: see CONTRIBUTING.md."""

import os
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_extensions"))

from source_digest import digest  # noqa: E402

import scalefit  # noqa: E402

# Modules that are public under a shorter name than that of their file: autodoc imports them by it.
sys.modules |= {f"scalefit.{name}": getattr(scalefit, name) for name in ("datasets", "approaches")}

# Commands in pages are those of the interpreter that builds, and print as on a terminal of 84 columns without colour.
os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
os.environ |= {"COLUMNS": "84", "NO_COLOR": "1", "TERM": "dumb", "PYTHONWARNINGS": "ignore:IProgress not found"}
# Kernels are set up alike, whatever the settings of the machine that builds: pictures at twice the resolution.
_ipython = HERE / "_cache" / "ipython" / "profile_default"
_ipython.mkdir(parents=True, exist_ok=True)
(_ipython / "ipython_kernel_config.py").write_text("c.InlineBackend.figure_formats = {'retina'}\n")
(_ipython / "startup").mkdir(exist_ok=True)
(_ipython / "startup" / "bash.py").write_text((HERE / "_extensions" / "kernel_startup.py").read_text())
os.environ["IPYTHONDIR"] = str(_ipython.parent)
# Pages and command lines share compiled programs, in the folder that the command line takes by default.
_cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "scalefit"
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(_cache))
os.environ |= {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0", "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1"}
_cache.mkdir(mode=0o700, parents=True, exist_ok=True)

project, author, copyright = "scalefit", "The scalefit developers", "The scalefit developers"
release = version = scalefit.__version__

extensions = [
    "myst_nb",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "sphinx_copybutton",
    "sphinx_design",
    "docstrings",
    "mathml",
    "generated_reference",
    "site_files",
]
exclude_patterns = ["_build", "_cache", "_templates", "_extensions", "**.ipynb_checkpoints"]
templates_path = ["_templates"]
default_role = "py:obj"

# Executed pages. A cache of outputs belongs to one state of the sources: it never shows what another state printed.
nb_execution_mode = "cache"
nb_execution_cache_path = str(HERE / "_cache" / digest())
nb_execution_raise_on_error = True
nb_execution_timeout = 600  # wall seconds a cell, on a machine that has much else to do
nb_merge_streams = True
nb_render_image_options = {"align": "center"}
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath", "fieldlist"]
myst_heading_anchors = 3

autosummary_generate = True
# Names that differ by case alone are one file where the file system ignores it: `fit` and `Fit`.
_functions = ("fit", "plan", "target", "audit", "devices", "backtest", "sbc")
autosummary_filename_map = {f"scalefit.{name}": f"scalefit.{name}_function" for name in _functions} | {
    "scalefit.counting.architecture": "scalefit.counting.architecture_function",
    "scalefit.downstream.emergence": "scalefit.downstream.emergence_function",
}
autodoc_typehints = "none"
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
numpydoc_xref_param_type = False
copybutton_exclude = ".linenos, .gp, .go"

# Links into the documentation of other projects need the network, and a build without it must not fail.
if os.environ.get("SCALEFIT_DOCS_ONLINE"):
    intersphinx_mapping = {
        "python": ("https://docs.python.org/3", None),
        "jax": ("https://docs.jax.dev/en/latest", None),
        "numpyro": ("https://num.pyro.ai/en/stable", None),
        "xarray": ("https://docs.xarray.dev/en/stable", None),
        "arviz": ("https://python.arviz.org/en/stable", None),
    }

html_theme = "pydata_sphinx_theme"
html_title = "scalefit"
html_static_path = ["_static"]
html_css_files = ["scalefit.css"]
html_math_renderer = "mathml"
html_show_sourcelink = True
html_copy_source = True
html_theme_options = {
    "show_prev_next": True,
    "navbar_align": "left",
    "header_links_before_dropdown": 6,
    "secondary_sidebar_items": ["page-toc", "sourcelink"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "pygments_light_style": "tango",
    "pygments_dark_style": "monokai",
}
html_sidebars = {"index": []}
