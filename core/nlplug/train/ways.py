"""Settings of the ways to train besides fine-tuning all weights once, and their checks."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, Field

from nlplug.errors import MissingExtra, OptionError
from nlplug.train.processes import is_alone

if TYPE_CHECKING:
    from nlplug.task import Task

EXTRA = "ways"
"""The extra that installs what some of the ways need."""
_PACKAGES = {"adapter": "peft", "search_minutes": "optuna"}


class WaysConfig(BaseModel):
    """Ways to train that can be combined with each other."""

    adapter: Literal["none", "lora", "rslora"] = Field(
        default="none",
        description="lora: train small matrices beside the layers (Hu et al. 2021) and the output "
        "layer only, and add them to the weights at the end. rslora: their rank-stabilized form "
        "(Kalajdzievski 2023).",
    )
    adapter_rank: int = Field(
        ge=1, default=8, description="Rank of the matrices of --adapter; their scale is twice it."
    )
    seeds: int = Field(
        ge=1,
        le=16,
        default=1,
        description="Number of runs with different seeds. The mean of their weights is the result "
        "if its score is not worse than that of the best run.",
    )
    teacher: str = Field(
        default="",
        description="Model whose answers are learned besides the labels (distillation): a folder, "
        "the name of a packaged model, or a Hub id with ONNX files.",
    )
    teacher_share: float = Field(
        gt=0,
        le=1,
        default=0.5,
        description="Weight of the answers of --teacher against the labels of the rows.",
    )
    teacher_temperature: float = Field(
        gt=0,
        default=2.0,
        description="Temperature that softens the scores of --teacher: above 1 they are more even.",
    )
    unlabelled: list[str] = Field(
        default=[],
        description="Files of texts without labels, which only --teacher answers.",
    )
    search_minutes: float | None = Field(
        gt=0,
        default=None,
        description="Minutes to search for better settings before the run: learning rate, epochs, "
        "batch size, layer decay and label smoothing, of those that are not given.",
    )


def check_ways(task: Task, config: WaysConfig) -> None:
    """Check that the ways can be combined, before anything that trains is imported.

    Raises:
        OptionError: They cannot, or the family of the task does not have one.
        MissingExtra: A package is missing.
    """
    for name, package in _PACKAGES.items():
        if getattr(config, name) not in (None, "none") and find_spec(package) is None:
            raise MissingExtra(
                f"{name} needs the package {package!r}, which is not installed.",
                hint=f"pip install 'nlplug[{EXTRA}]'",
            )
    if not is_alone() and (config.seeds > 1 or config.search_minutes):
        raise OptionError(
            "seeds and search_minutes are for runs of one process.",
            hint="Leave them out, or start the run without torchrun.",
        )
    if config.adapter != "none":
        for name in ("simulate_int8", "freeze", "freeze_layers"):
            if name in config.model_fields_set and getattr(config, name) not in (False, "none", 0):
                raise OptionError(
                    f"adapter is {config.adapter!r}, and {name} is {getattr(config, name)!r}.",
                    hint="With an adapter the weights of the base are not trained; give one of the "
                    "two.",
                )
    if config.unlabelled and not config.teacher:
        raise OptionError(
            f"unlabelled is {config.unlabelled!r}, and there is no teacher.",
            hint="Name a model that answers these texts, with --teacher.",
        )
    if config.teacher and not task.family.distils:
        raise OptionError(
            f"teacher is {config.teacher!r}, but the family {task.family.name!r} of the task "
            f"{task.name!r} does not learn from a teacher.",
            hint="Leave teacher out.",
        )
