"""Hiding the warnings of the libraries that export."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_LOGGERS = ("", "onnxruntime", "optimum", "transformers")


@contextmanager
def quiet() -> Iterator[None]:
    """Log errors only; missing weights and unfused nodes are checked elsewhere."""
    loggers = [logging.getLogger(name or None) for name in _LOGGERS]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
