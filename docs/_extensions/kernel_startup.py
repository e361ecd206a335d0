"""What every kernel of a page runs first: `%%bash` that prints its output at once, as on a terminal, and fails aloud.

IPython's own prints it in pieces of a hundred characters, which break words, and Jupyter asks programs for colours.
"""

import os
import subprocess

from IPython.core.magic import register_cell_magic

COLOURS = ("FORCE_COLOR", "CLICOLOR_FORCE", "CLICOLOR")


@register_cell_magic
def bash(line: str, cell: str) -> None:
    """Run a cell's commands; a failure ends the page."""
    plain = {name: value for name, value in os.environ.items() if name not in COLOURS}
    done = subprocess.run(["bash", "-ec", cell], env=plain, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    print(done.stdout, end="")
    done.check_returncode()
