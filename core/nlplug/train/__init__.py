"""Fine-tuning, which the extra ``train`` provides; ``nlplug.train(…)`` is `train` in ``python``."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any


class _Callable(ModuleType):
    """This package, which can be called: a function of its name would hide its modules."""

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        from nlplug.train.python import train

        return train(*arguments, **named)


sys.modules[__name__].__class__ = _Callable
