"""Hiding the warnings and the progress bars of the libraries that train and export."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module

_HUB = "huggingface_hub"
"""The logger that prints each attempt to reach the Hub, with the errors of its libraries."""
_LOGGERS = ("", _HUB, "onnxruntime", "optimum", "torch", "torch.onnx", "transformers")


@contextmanager
def quiet() -> Iterator[None]:
    """Log errors only and show no progress bars; other code checks for missing weights."""
    with warnings.catch_warnings(), no_progress_bars(), _errors_only(*_LOGGERS):
        warnings.simplefilter("ignore")
        yield


@contextmanager
def quiet_hub() -> Iterator[None]:
    """Hide the failed attempts to reach the Hub, whose error tells the outcome."""
    with _errors_only(_HUB):
        yield


@contextmanager
def _errors_only(*names: str) -> Iterator[None]:
    loggers = [logging.getLogger(name or None) for name in names]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextmanager
def no_progress_bars() -> Iterator[None]:
    """Let transformers load and save checkpoints without progress bars, as version 5 shows them."""
    if "transformers" not in sys.modules:  # what does not use it shall not import it
        yield
        return
    bars = import_module("transformers.utils.logging")
    shown = bars.is_progress_bar_enabled()
    bars.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            bars.enable_progress_bar()
