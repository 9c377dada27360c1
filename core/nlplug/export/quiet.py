"""Hiding the warnings and the progress bars of the libraries that train and export."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module

_LOGGERS = ("", "onnxruntime", "optimum", "torch", "torch.onnx", "transformers")


@contextmanager
def quiet() -> Iterator[None]:
    """Log errors only and show no progress bars; other code checks for missing weights."""
    loggers = [logging.getLogger(name or None) for name in _LOGGERS]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            with no_progress_bars():
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
