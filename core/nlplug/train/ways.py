"""Settings of the ways to train besides fine-tuning all weights once, and their checks."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from pydantic import BaseModel, Field
from pydantic.fields import FieldInfo

from nlplug.errors import MissingExtra, OptionError
from nlplug.train.processes import is_alone

if TYPE_CHECKING:
    from nlplug.task import Task

EXTRA = "ways"
"""The extra that installs what some of the ways need."""
_PACKAGES = {"adapter": "peft", "private_epsilon": "opacus", "search_minutes": "optuna"}
_PRIVATE = "private"
"""Key of a setting's ``json_schema_extra``: the value that it has in a differentially private run.

Such settings let the model depend on training rows in a way that the noise does not cover.
"""
Settings = TypeVar("Settings", bound="WaysConfig")


class WaysConfig(BaseModel):
    """Ways to train that can be combined with each other."""

    adapter: Literal["none", "lora", "rslora"] = Field(
        default="none",
        description="lora: train only the output layer and small matrices beside the layers (Hu et "
        "al. 2021), and add them to the weights at the end. rslora: their rank-stabilized form "
        "(Kalajdzievski 2023).",
    )
    adapter_rank: int = Field(
        ge=1, default=8, description="Rank of the matrices of --adapter; their scale is twice it."
    )
    seeds: int = Field(
        ge=1,
        le=16,
        default=1,
        json_schema_extra={"private": 1},
        description="Number of runs with different seeds. The mean of their weights is the result "
        "if its score is not worse than that of the best run.",
    )
    teacher: str = Field(
        default="",
        json_schema_extra={"private": ""},
        description="Model to learn from in addition to the labels (distillation): a folder, the "
        "name of a packaged model, or a Hub id with ONNX files.",
    )
    teacher_share: float = Field(
        gt=0,
        le=1,
        default=0.5,
        description="Weight of the scores of --teacher; the labels have the rest.",
    )
    teacher_temperature: float = Field(
        gt=0,
        default=2.0,
        description="Temperature that softens the scores of --teacher; above 1: more even scores.",
    )
    teacher_states: str = Field(
        default="",
        json_schema_extra={"private": ""},
        description="PyTorch checkpoint (a folder or a Hub id) whose hidden states are learned "
        "too. It needs the tokenizer and the hidden size of the base. For a pruned base: the "
        "checkpoint before pruning.",
    )
    teacher_states_weight: float = Field(
        gt=0,
        default=1.0,
        description="Weight of the loss of --teacher-states: the squared error relative to the "
        "size of the teacher's states, averaged over the layers.",
    )
    unlabelled: list[str] = Field(
        default=[],
        description="Files of texts without labels; --teacher gives their targets.",
    )
    search_minutes: float | None = Field(
        gt=0,
        default=None,
        json_schema_extra={"private": None},
        description="Minutes of a hyperparameter search before the run, over those of learning "
        "rate, epochs, batch size and layer decay that are not given.",
    )
    private_epsilon: float | None = Field(
        gt=0,
        default=None,
        description="Train with differential privacy (DP-SGD, Abadi et al. 2016): the privacy loss "
        "epsilon of a training row is at most this. Smaller: more noise. Embeddings are not "
        "trained.",
    )
    private_delta: float | None = Field(
        gt=0,
        lt=1,
        default=None,
        description="The delta of --private-epsilon, less than 1 / number of training rows. "
        "Default: a tenth of that.",
    )
    private_clip: float = Field(
        gt=0,
        default=1.0,
        description="Maximum norm of the gradient of a row with --private-epsilon.",
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
            "seeds and search_minutes cannot be used with several processes.",
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
    for name in ("teacher", "teacher_states"):
        if getattr(config, name) and not task.family.distils:
            raise OptionError(
                f"{name} is {getattr(config, name)!r}, but the family {task.family.name!r} of the "
                f"task {task.name!r} does not learn from a teacher.",
                hint=f"Leave {name} out.",
            )
    if config.private_delta and not config.private_epsilon:
        raise OptionError(
            f"private_delta is {config.private_delta}, and there is no private_epsilon.",
            hint="Give the privacy loss of a row with --private-epsilon, such as 8.",
        )
    if config.private_epsilon:
        _check_private(task, config)


def with_privacy(config: Settings) -> Settings:
    """The settings, in which a differentially private run has no others than it can have.

    Args:
        config: Settings that `check_ways` has passed. Without ``private_epsilon`` they stay.
    """
    if not config.private_epsilon:
        return config
    return config.model_copy(update=dict(_private_values(config)))


def holds_rows_out(config: WaysConfig) -> bool:
    """Whether the run needs evaluation rows even if there are few rows.

    A cross-validation would score texts that have no labels, and would train on private rows for
    scores that no noise covers.
    """
    return bool(config.unlabelled or config.private_epsilon)


def _check_private(task: Task, config: WaysConfig) -> None:
    """Check that nothing depends on training rows in a way that the noise does not cover.

    Raises:
        OptionError: A setting does, or the family has no such training.
    """
    if not task.family.private:
        raise OptionError(
            f"private_epsilon is {config.private_epsilon}, but the family {task.family.name!r} of "
            f"the task {task.name!r} has no differentially private training.",
            hint="Leave private_epsilon out.",
        )
    if not is_alone():
        raise OptionError(
            "private_epsilon cannot be used with several processes.",
            hint="Leave it out, or start the run without torchrun.",
        )
    for name, wanted in _private_values(config).items():
        value = getattr(config, name)
        if name in config.model_fields_set and value != wanted:
            raise OptionError(
                f"private_epsilon is {config.private_epsilon}, and {name} is {value!r}: the result "
                "would reveal more about a training row than the noise covers.",
                hint=f"Leave {name} out.",
            )


def _private_values(config: WaysConfig) -> dict[str, Any]:
    """The settings that have one value in a differentially private run."""
    fields: dict[str, FieldInfo] = type(config).model_fields
    extras = {name: field.json_schema_extra for name, field in fields.items()}
    return {
        name: extra[_PRIVATE]
        for name, extra in extras.items()
        if isinstance(extra, dict) and _PRIVATE in extra
    }
