"""nlplug: install a task, get everything.

>>> from nlplug import pipeline
>>> pipeline("sentiment")("I loved it")
[{'label': 'positive', 'score': 0.99}]
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

from nlplug.version import __version__

if TYPE_CHECKING:
    from nlplug.errors import NlplugError
    from nlplug.families.one_pass import TaskModel
    from nlplug.hookspecs import hookimpl
    from nlplug.models.bundle import Bundle
    from nlplug.models.spec import ModelSpec
    from nlplug.pipelines import Pipeline, pipeline
    from nlplug.plugins import PluginHost
    from nlplug.runtime.decoding.sampling import set_seed
    from nlplug.task import Display, Example, Task, TaskInput, TaskOptions, TextInput
    from nlplug.train.python import TrainResult, train

# When it is imported, ONNX Runtime writes an identifier of the device and a record of events into
# the cache of the user, and it has code that sends them to its makers, unless this variable is set
# before.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

# Imported on first use: `import nlplug` costs a few milliseconds, and a plugin module that needs
# only the contract never loads ONNX Runtime.
_EXPORTS = {
    "Bundle": "nlplug.models.bundle",
    "Display": "nlplug.task",
    "Example": "nlplug.task",
    "ModelSpec": "nlplug.models.spec",
    "NlplugError": "nlplug.errors",
    "Pipeline": "nlplug.pipelines",
    "PluginHost": "nlplug.plugins",
    "Task": "nlplug.task",
    "TaskInput": "nlplug.task",
    "TaskModel": "nlplug.families.one_pass",
    "TaskOptions": "nlplug.task",
    "TextInput": "nlplug.task",
    "TrainResult": "nlplug.train.python",
    "hookimpl": "nlplug.hookspecs",
    "pipeline": "nlplug.pipelines",
    "set_seed": "nlplug.runtime.decoding.sampling",
}

__all__ = [
    "Bundle",
    "Display",
    "Example",
    "ModelSpec",
    "NlplugError",
    "Pipeline",
    "PluginHost",
    "Task",
    "TaskInput",
    "TaskModel",
    "TaskOptions",
    "TextInput",
    "TrainResult",
    "__version__",
    "hookimpl",
    "pipeline",
    "set_seed",
    "train",
]


def __getattr__(name: str) -> Any:
    if name == "train":  # the package, which can be called
        return import_module("nlplug.train")
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_EXPORTS[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
