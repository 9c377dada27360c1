"""``python -m nlplug``: the same as the command ``nlplug``."""

from __future__ import annotations

from nlplug.cli.main import main

if __name__ == "__main__":
    main(prog_name="nlplug")
