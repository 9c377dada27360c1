"""The web UI of nlplug: one page per task, built from the declaration of the task."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nlplug_webui.hookspecs import Panel, PanelContext

__all__ = ["Panel", "PanelContext"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("nlplug_webui.hookspecs"), name)
