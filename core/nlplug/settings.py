"""Settings from the environment, read when asked for, so that they can change."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"", "0", "false", "no", "off"}
MOST_THREADS = 1024
"""Largest number of threads; each takes memory and time to start."""


def flag(name: str) -> bool:
    """Whether the variable ``name`` is set to something that means yes."""
    return _word(name) in _TRUE


def _word(name: str) -> str:
    return os.environ.get(name, "").strip().lower()


@dataclass(frozen=True)
class Settings:
    """What the environment says.

    Attributes:
        cache_dir: Where fetched models are kept (``NLPLUG_CACHE``, ``$XDG_CACHE_HOME/nlplug``).
        offline: Never touch the network (``NLPLUG_OFFLINE`` or ``HF_HUB_OFFLINE``).
        strict: A plugin that fails is fatal (``NLPLUG_STRICT``).
        plugins: Only these plugins are seen (``NLPLUG_PLUGINS=a,b``); None for all.
        plugin_timeout: Seconds that importing a plugin may take (``NLPLUG_PLUGIN_TIMEOUT``), 0 for
            no limit; None: not set.
        hub_endpoint: Base address of the Hub (``HF_ENDPOINT``).
        hub_token: The token for the Hub, False for none; None: the one that huggingface_hub finds
            (``HF_TOKEN``, ``hf auth login``).
        threads: Threads for inference (``NLPLUG_THREADS``); None: all usable CPUs.
        batch_invariant: Run one text at a time where a graph takes scales from each batch, so that
            the other texts cannot change its scores (``NLPLUG_BATCH_INVARIANT``).
        verify: Compare all files of a model with its manifest when it is loaded
            (``NLPLUG_VERIFY``).
        verify_key: PEM file of the public key that must have signed each model
            (``NLPLUG_VERIFY_KEY``); None: no signature is needed.
        debug: Show tracebacks on the command line (``NLPLUG_DEBUG``).
    """

    cache_dir: Path
    offline: bool
    strict: bool
    plugins: frozenset[str] | None
    plugin_timeout: float | None
    hub_endpoint: str
    threads: int | None
    batch_invariant: bool
    verify: bool
    verify_key: Path | None
    debug: bool
    hub_token: str | bool | None = field(default=None, repr=False)


def load_settings() -> Settings:
    """The settings as the environment has them now.

    Raises:
        OptionError: ``NLPLUG_THREADS`` is not a whole number from 1 to 1024,
            ``NLPLUG_PLUGIN_TIMEOUT`` is not a number of seconds, or a variable that means yes or no
            has another value.
    """
    cache = os.environ.get("NLPLUG_CACHE")
    if cache:
        cache_dir = Path(cache).expanduser()
    else:
        base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
        cache_dir = Path(base).expanduser() / "nlplug"
    only = os.environ.get("NLPLUG_PLUGINS")
    return Settings(
        cache_dir=cache_dir,
        offline=_yes_or_no("NLPLUG_OFFLINE") or flag("HF_HUB_OFFLINE"),
        strict=_yes_or_no("NLPLUG_STRICT"),
        plugins=frozenset(part.strip() for part in only.split(",") if part.strip())
        if only is not None
        else None,
        plugin_timeout=_plugin_timeout(),
        hub_endpoint=(os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/"),
        threads=_threads(),
        batch_invariant=_yes_or_no("NLPLUG_BATCH_INVARIANT"),
        verify=_yes_or_no("NLPLUG_VERIFY"),
        verify_key=Path(key).expanduser() if (key := os.environ.get("NLPLUG_VERIFY_KEY")) else None,
        debug=_yes_or_no("NLPLUG_DEBUG"),
    )


def _yes_or_no(name: str) -> bool:
    if flag(name):
        return True
    if _word(name) in _FALSE:
        return False
    from nlplug.errors import OptionError

    raise OptionError(
        f"{name} is {os.environ[name]!r}, which is neither yes nor no.", hint="Set it to 1 or to 0."
    )


def _threads() -> int | None:
    raw = os.environ.get("NLPLUG_THREADS")
    if not raw:
        return None
    if not raw.isdecimal() or not 1 <= int(raw[:9]) <= MOST_THREADS:
        from nlplug.errors import OptionError

        raise OptionError(
            f"NLPLUG_THREADS is {raw!r}, which is not a whole number from 1 to {MOST_THREADS}.",
            hint="Unset it, or set it to the number of threads to use, such as 2.",
        )
    return int(raw)


def _plugin_timeout() -> float | None:
    raw = os.environ.get("NLPLUG_PLUGIN_TIMEOUT")
    if not raw:
        return None
    if not re.fullmatch(r"\d+(\.\d+)?", raw):
        from nlplug.errors import OptionError

        raise OptionError(
            f"NLPLUG_PLUGIN_TIMEOUT is {raw!r}, which is not a number of seconds.",
            hint="Unset it, or set it to a number such as 60; 0 means no limit.",
        )
    return float(raw)
