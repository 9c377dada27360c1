"""Import optional dependencies; if one is missing, the error says what to install."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
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
        with uncollected():
            return import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] != module.split(".")[0]:
            raise
        raise MissingExtra(
            f"{purpose} needs the package {module.split('.')[0]!r}, which is not installed.",
            hint=f"pip install 'nlplug[{extra}]'",
        ) from None


def require_training() -> None:
    """Import what every training needs.

    Raises:
        MissingExtra: One of the modules is not installed.
    """
    # The last one imports most, so that it comes this way too.
    for module in ("torch", "transformers", "accelerate", "transformers.trainer"):
        require(module, "train", purpose="Training")


@contextmanager
def uncollected() -> Iterator[None]:
    """Look for no garbage during imports.

    They make objects by the hundred thousand that stay. To look through them again and again takes
    a quarter of the time of the import of a large library.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()
