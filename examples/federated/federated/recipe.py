"""What server and clients share: the recipe of the task, with agreed labels."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer

from nlplug import PluginHost
from nlplug.families.family import load


def recipe_of(settings: Mapping[str, Any], data: str = "") -> Any:
    """The recipe that `nlplug train` would use, for the settings of a run.

    The labels are part of the settings: a client may lack a label that others have.

    Args:
        settings: The configuration of the run.
        data: File of the rows of a client.
    """
    task = PluginHost.discover().task(str(settings["task"]))
    config = load(task.family.settings)(
        base=settings["base"],
        data=[data or "none"],
        output=Path(str(settings["output"])),
        labels=str(settings["labels"]).split(","),
        seed=settings["seed"],
    )
    return load(task.family.training)(task, config)


def tokenizer_of(settings: Mapping[str, Any]) -> Any:
    """The tokenizer of the base."""
    return AutoTokenizer.from_pretrained(settings["base"])
