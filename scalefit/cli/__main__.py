"""`python -m scalefit.cli`."""

from scalefit.cli import main

main()
