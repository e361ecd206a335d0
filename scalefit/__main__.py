"""`python -m scalefit`, and the installed command. Ctrl-C is looked after before anything heavy is imported."""

from scalefit._interrupt import end_on_interrupt


def main() -> None:
    """Run the command line."""
    end_on_interrupt()
    from scalefit import cli

    cli.main()


if __name__ == "__main__":
    main()
