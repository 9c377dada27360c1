"""Settings that are chosen from the number of training rows and from the base.

A setting that is given is never changed. The plan of a run is shown, and stored as a TOML file that
repeats the run.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from nlplug.data.lengths import base_file
from nlplug.errors import OptionError
from nlplug.families.family import Family, load
from nlplug.train.base import base_name
from nlplug.train.config import LoopConfig, TrainConfig
from nlplug.train.processes import is_alone

Settings = TypeVar("Settings", bound=TrainConfig)
Planner = Callable[[int, str], Mapping[str, Any]]
"""A function of the number of training rows and the base: the settings that it chooses."""

CHOSEN = frozenset(
    {
        "batch_size",
        "bf16",
        "epochs",
        "eval_steps",
        "freeze",
        "layer_decay",
        "learning_rate",
        "warmup",
    }
)
"""The settings that a plan may choose."""
FEW_ROWS = 2000
"""With fewer rows none is held out: the score is estimated by cross-validation."""
FEWEST_ROWS = 200
"""With fewer rows there are more passes, and classifiers of few labels learn from pairs alone."""
_SMALL_BATCH, _BATCH = 16, 32
_STEPS = 300
_FEWEST_EPOCHS, _MOST_EPOCHS, _EPOCHS_OF_FEWEST = 3, 10, 15
_EVALUATIONS = 6
_LAYER_DECAY = 0.8
_RATES = ((512, 3e-4), (768, 5e-5), (math.inf, 2e-5))
"""Learning rate up to a hidden size: small encoders need a higher one."""


def planned(config: Settings, family: Family, rows: int) -> Settings:
    """The settings with those that are not given chosen by the family's plan.

    Args:
        config: The settings, with a base.
        family: The family, which names its plan.
        rows: Number of training rows.
    """
    if not family.plan:
        return config
    plan: Planner = load(family.plan)
    chosen = dict(plan(rows, config.base))
    given = config.model_fields_set
    if given & {"epochs", "minutes", "batch_size"}:
        chosen.pop("eval_steps", None)
    if "batch_tokens" in given:
        chosen.pop("batch_size", None)
    return config.model_copy(update={k: v for k, v in chosen.items() if k not in given})


def encoder_plan(rows: int, base: str) -> dict[str, Any]:
    """The plan for encoders: about 300 steps on few rows, three epochs on many.

    The values were chosen on rows of the training part of TREC-6; see docs/defaults.md.
    """
    batch = _SMALL_BATCH if rows < FEW_ROWS else _BATCH
    steps = max(1, math.ceil(rows / batch))
    most = _EPOCHS_OF_FEWEST if rows < FEWEST_ROWS else _MOST_EPOCHS
    epochs = min(most, max(_FEWEST_EPOCHS, round(_STEPS / steps)))
    plan: dict[str, Any] = {
        "batch_size": batch,
        "epochs": float(epochs),
        "learning_rate": _rate(base),
        "layer_decay": _LAYER_DECAY if rows < FEW_ROWS else 1.0,
        "freeze": "embeddings" if rows < FEW_ROWS and _embeds_texts(base) else "none",
        "warmup": 0.1,
    }
    if epochs > _EVALUATIONS:
        plan["eval_steps"] = math.ceil(epochs * steps / _EVALUATIONS)
    return plan


def _rate(base: str) -> float:
    return next(rate for most, rate in _RATES if _hidden_size(base) <= most)


def _embeds_texts(base: str) -> bool:
    """Whether a base is a sentence encoder, by the files that are on this computer."""
    return base_file(base, "1_Pooling/config.json") is not None


def _hidden_size(base: str) -> int:
    """The hidden size of a base by its config; 768 if the config is not on this computer."""
    file = base_file(base, "config.json")
    try:
        values = json.loads(file.read_text(encoding="utf-8")) if file else {}
    except (OSError, ValueError):
        values = {}
    sizes = [values.get(name) for name in ("hidden_size", "dim", "d_model")]
    return next((size for size in sizes if isinstance(size, int)), 768)


def check_length(config: LoopConfig) -> None:
    """Check that the settings which are given name one length of the run.

    Raises:
        OptionError: ``minutes`` is given together with what it replaces, or for several processes.
    """
    if config.minutes is None:
        return
    for name in ("epochs", "schedule"):
        if name in config.model_fields_set:
            raise OptionError(
                f"minutes is {config.minutes:g}, and {name} is {getattr(config, name)!r}.",
                hint=f"Give one of the two: minutes replaces {name}.",
            )
    if not is_alone():
        raise OptionError(
            "minutes cannot be used with several processes.",
            hint="Give epochs, or start the run without torchrun.",
        )


def described(config: TrainConfig, given: set[str]) -> str:
    """The plan as a line to show.

    Args:
        config: The planned settings.
        given: Names of the settings that the user gave.
    """
    names = (
        "minutes" if config.minutes else "epochs",
        "batch_size",
        "learning_rate",
        "layer_decay",
        "warmup",
    )
    parts = []
    for name in names:
        origin = " (given)" if name in given else ""
        parts.append(f"{name.replace('_', ' ')} {getattr(config, name):g}{origin}")
    if config.freeze != "none":
        parts.append(f"without training the {config.freeze}")
    if config.bf16:
        parts.append("bfloat16")
    return f"Base {base_name(config.base)}; {', '.join(parts)}."


def write_settings(
    config: TrainConfig, file: Path, given: set[str], functions: Mapping[str, str]
) -> None:
    """Write the settings as a TOML file for ``--config``, which repeats the run.

    Args:
        config: The planned settings.
        file: The file.
        given: Names of the settings that the user gave. ``eval_share`` is written only if it is
            among them, because giving it holds rows out.
        functions: Names of functions from Python, which the file cannot hold; it says so.
    """
    left_out = {"resume"} | ({"eval_share"} - given)
    if config.minutes:
        left_out |= {"epochs", "schedule"}
    values = config.model_dump(mode="json", exclude=left_out, exclude_none=True)
    lines = [f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in values.items()]
    head = ["# Repeats this run: nlplug train TASK --config THIS_FILE"]
    if functions:
        named = " and ".join(f"{name}={function}" for name, function in functions.items())
        head = [
            f"# Repeats this run together with {named}, which only nlplug.train() in Python takes."
        ]
    file.write_text("\n".join([*head, *lines]) + "\n", encoding="utf-8")
