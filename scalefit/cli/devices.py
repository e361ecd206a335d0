"""`scalefit devices`: what will be computed on, in which precision, and where compiled programs are kept."""

import os

from scalefit.cli._app import app
from scalefit.cli._options import Json
from scalefit.cli._show import console, print_json, say


@app.command()
def devices(as_json: Json = False) -> None:
    """What will be computed on, in which precision, and where compiled programs are kept."""
    from dataclasses import asdict

    import scalefit as sf

    found, kept = sf.devices(), os.environ["JAX_COMPILATION_CACHE_DIR"]
    if as_json:
        print_json({**asdict(found), "compiled_programs": kept})
        return
    out = console()
    say(out, f"{found}.")
    say(out, f"Compiled programs are kept in {kept}.")
    if found.platform == "cpu":
        say(out, "For an NVIDIA GPU: pip install 'scalefit[cuda]'; for a TPU: pip install 'scalefit[tpu]'.")
