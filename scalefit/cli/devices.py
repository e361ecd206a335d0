"""`scalefit devices`: what will be computed on, in which precision, and where compiled programs are kept."""

import os

from scalefit.cli._app import app
from scalefit.cli._options import Json
from scalefit.cli._show import console, print_json, say


@app.command()
def devices(as_json: Json = False) -> None:
    """The devices, the precision and the cache in use."""
    from dataclasses import asdict

    import scalefit as sf
    from scalefit.text.commands import cache_sentences

    found, kept = sf.devices(), os.environ["JAX_COMPILATION_CACHE_DIR"]
    if as_json:
        print_json({**asdict(found), "compiled_programs": kept})
        return
    out = console()
    for sentence in [f"{found}.", *cache_sentences(kept, found.platform)]:
        say(out, sentence)
