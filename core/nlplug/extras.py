"""Import optional dependencies; if one is missing, the error says what to install."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from nlplug.errors import MissingExtra


def require(module: str, extra: str, *, purpose: str) -> Any:
    """Import a module that an extra of nlplug installs.

    Args:
        module: Dotted name of the module.
        extra: The extra of the ``nlplug`` distribution that installs it.
        purpose: What needs it, as the subject of a sentence, such as "ONNX inference".

    Raises:
        MissingExtra: The module is not installed.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] != module.split(".")[0]:
            raise
        raise MissingExtra(
            f"{purpose} needs the package {module.split('.')[0]!r}, which is not installed.",
            hint=f"pip install 'nlplug[{extra}]'",
        ) from None
