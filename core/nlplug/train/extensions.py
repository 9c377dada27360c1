"""What a caller in Python adds to a run without writing a recipe: callbacks, a metric, a loss."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nlplug.errors import OptionError

if TYPE_CHECKING:
    import torch

    from nlplug.task import Task
    from nlplug.train.config import TrainConfig
    from nlplug.train.recipe import Recipe

Metric = Callable[[Sequence[Any], Sequence[Any]], float]
"""A score of answers and targets, in the form in which the scoring of the family gets them."""
Loss = Callable[["torch.Tensor", "torch.Tensor"], "torch.Tensor"]
"""The mean loss of a batch, a scalar, from its logits and labels."""


@dataclass(frozen=True)
class Extensions:
    """Additions to a run; they are not settings, so a TOML file does not repeat them.

    Attributes:
        callbacks: Instances of ``transformers.TrainerCallback``.
        metric: Chooses the checkpoint in place of the main metric of the family. Its name is that
            of the function.
        higher_is_better: Whether a higher ``metric`` is better.
        loss: Takes the place of the loss of the recipe.
    """

    callbacks: Sequence[Any] = ()
    metric: Metric | None = None
    higher_is_better: bool = True
    loss: Loss | None = None

    @property
    def functions(self) -> dict[str, str]:
        """The names of the functions that the result depends on, by what they are."""
        given = {"metric": self.metric, "loss": self.loss}
        return {name: name_of(function) for name, function in given.items() if function}

    def check(self) -> None:
        """Check the callbacks and functions.

        Raises:
            OptionError: One has the wrong type.
        """
        from transformers import TrainerCallback

        if not isinstance(self.callbacks, Sequence):
            raise OptionError(
                f"callbacks is {self.callbacks!r}, not a list.", hint="Give a list of callbacks."
            )
        for callback in self.callbacks:
            if not isinstance(callback, TrainerCallback):
                raise OptionError(
                    f"callbacks has {callback!r}.",
                    hint="Give instances of subclasses of transformers.TrainerCallback.",
                )
        for name, function in (("metric", self.metric), ("loss", self.loss)):
            if function is not None and not callable(function):
                raise OptionError(f"{name} is {function!r}.", hint="Give a function.")

    def recipe(self, made: type[Recipe], task: Task, config: TrainConfig) -> Recipe:
        """A recipe with the metric and the loss of the caller.

        Args:
            made: The recipe of the family.
            task: The task.
            config: The settings of the run.
        """
        if self.metric is not None:
            made = _with_metric(made, self.metric, self.higher_is_better)
        if self.loss is not None:
            made = _with_loss(made, self.loss)
        return made(task, config)


NO_EXTENSIONS = Extensions()


def name_of(function: Callable[..., Any]) -> str:
    """The name of a function; that of its class for any other object that can be called."""
    name: str = getattr(function, "__name__", type(function).__name__)
    return name


def _with_metric(made: type[Recipe], function: Metric, higher: bool) -> type[Recipe]:
    from nlplug.train.served import ServedEvaluation

    class WithMetric(made):  # type: ignore[valid-type, misc]  # the base is known only here
        @property
        def metric(self) -> str:
            return name_of(function)

        @property
        def higher_is_better(self) -> bool:
            return higher

        def evaluator(self, file: Path, examples: Sequence[Any], tokenizer: Any) -> Any:
            found = super().evaluator(file, examples, tokenizer)
            if not isinstance(found, ServedEvaluation):
                raise OptionError(
                    f"The task {self.task.name!r} takes no metric: its model gives no answers "
                    "during training.",
                    hint="Leave metric out.",
                )
            found.metrics[self.metric] = function
            return found

    return WithMetric


def _with_loss(made: type[Recipe], function: Loss) -> type[Recipe]:
    class WithLoss(made):  # type: ignore[valid-type, misc]  # the base is known only here
        @property
        def refits(self) -> bool:
            return False

        def loss(self, outputs: Any, labels: torch.Tensor) -> torch.Tensor:
            import torch

            found = function(outputs["logits"].float(), labels)
            if not isinstance(found, torch.Tensor) or found.ndim or not found.requires_grad:
                shown = (
                    f"a tensor of the shape {tuple(found.shape)}"
                    if isinstance(found, torch.Tensor)
                    else repr(found)
                )
                raise OptionError(
                    f"The loss {name_of(function)} returned {shown}.",
                    hint="It must return a scalar tensor that is computed from the logits.",
                )
            return found

    return WithLoss
