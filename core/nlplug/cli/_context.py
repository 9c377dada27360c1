"""Objects that the commands of one invocation share."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from nlplug.plugins import PluginHost


def host_of(ctx: click.Context | None = None, *, timeout: float | None = None) -> PluginHost:
    """The host of this invocation: one scan of the metadata, shared through click's context.

    Args:
        ctx: The context; None for the current one.
        timeout: Maximum time to import a plugin, in seconds, if the host is created here; None: no
            limit.
    """
    from nlplug.plugins import PluginHost

    ctx = ctx or click.get_current_context()
    host = ctx.meta.get("nlplug.host")
    if not isinstance(host, PluginHost):
        host = ctx.meta["nlplug.host"] = PluginHost.discover(timeout=timeout)
    return host


def show_log(name: str) -> None:
    """Print the messages of a logger, from level INFO, to standard error, one per line."""
    logger = logging.getLogger(name)
    if not logger.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(message)s"))
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        logger.propagate = False
