"""Hugging Face's Trainer with the batches, loss and learning rates of a recipe."""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import BatchSampler, DataLoader, Sampler
from transformers import (
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)
from transformers.trainer_pt_utils import LengthGroupedSampler

from nlplug.train.callbacks import ShowProgress
from nlplug.train.layers import LAYER
from nlplug.train.probe import inputs_of, output_layer
from nlplug.train.processes import broadcast, is_main
from nlplug.train.served import in_evaluation
from nlplug.train.states import StatesTeacher
from nlplug.train.timed import EndInTime
from nlplug.train.training_set import TrainingSet
from nlplug.train.workspace import COMPLETE

if TYPE_CHECKING:
    from nlplug.train.config import TrainConfig
    from nlplug.train.recipe import Evaluator, Recipe

_RECENT = 20
"""Number of batches whose mean loss is shown as progress."""
_WORKERS = 2
"""Processes that make the batches of a GPU, which would wait for them else."""


class MarkComplete(TrainerCallback):
    """Marks a checkpoint as complete after all its files are written."""

    def on_save(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,
    ) -> None:
        if state.is_world_process_zero:
            (Path(args.output_dir) / f"checkpoint-{state.global_step}" / COMPLETE).touch()


class SaveByTime(TrainerCallback):
    """Saves a checkpoint when the last one is older than a limit.

    Args:
        minutes: The limit.
    """

    def __init__(self, minutes: float) -> None:
        self._seconds = 60 * minutes
        self._last = time.monotonic()

    def on_step_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,
    ) -> None:
        if time.monotonic() - self._last >= self._seconds:
            control.should_save = True

    def on_save(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,
    ) -> None:
        self._last = time.monotonic()


class WriteCurve(TrainerCallback):
    """Appends the logged values to a file that is kept when checkpoints are deleted.

    Args:
        file: JSON Lines.
    """

    def __init__(self, file: Path) -> None:
        self._file = file

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        if state.is_world_process_zero and logs:
            with self._file.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"step": state.global_step, **logs}) + "\n")


class EpochSampler(LengthGroupedSampler):
    """Shuffled batches of similar lengths; their order depends only on seed and epoch.

    So a resumed run sees the rows in the same order as an uninterrupted run.
    """

    def __init__(self, dataset: TrainingSet, batch_size: int, seed: int) -> None:
        super().__init__(
            batch_size, lengths=dataset.lengths(), generator=torch.Generator().manual_seed(seed)
        )
        self._dataset = dataset
        self._seed = seed

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch, which determines the order of the rows and the windows of the texts."""
        self.generator.manual_seed((self._seed << 16) + epoch)
        self._dataset.set_epoch(epoch)


class TokenBatches(BatchSampler):
    """Batches of similar lengths with about ``tokens`` tokens each, padding included, shuffled.

    The size of each batch depends only on the lengths, so all epochs have the same number of
    batches. The rows of equal length in a batch, and the order of the batches, depend on seed and
    epoch.
    """

    def __init__(self, dataset: TrainingSet, tokens: int, seed: int) -> None:
        # accelerate calls set_epoch on the attribute of this name.
        self.sampler: EpochSampler = EpochSampler(dataset, 1, seed)
        self.batch_size: Any = None
        self.drop_last = True  # all processes need the same number of batches
        self._lengths = dataset.lengths()
        self._ends: list[int] = []
        ordered = sorted(self._lengths)
        begin = 0
        for end, length in enumerate(ordered, start=1):
            if end - begin > 1 and (end - begin) * length > tokens:
                self._ends.append(end - 1)
                begin = end - 1
        self._ends.append(len(ordered))

    def __len__(self) -> int:
        return len(self._ends)

    def __iter__(self) -> Iterator[list[int]]:
        rows = sorted(self.sampler, key=self._lengths.__getitem__)
        batches = [rows[start:end] for start, end in pairwise([0, *self._ends])]
        for index in torch.randperm(len(batches), generator=self.sampler.generator).tolist():
            yield batches[index]


class RecipeTrainer(Trainer):
    """A Trainer whose batches, loss and learning rates come from a recipe and its settings."""

    def __init__(
        self,
        recipe: Recipe,
        config: TrainConfig,
        model: PreTrainedModel,
        args: TrainingArguments,
        tokenizer: PreTrainedTokenizerBase,
        train_dataset: TrainingSet,
        evaluator: Evaluator,
        callbacks: list[TrainerCallback],
    ) -> None:
        self._recipe = recipe
        self._config = config
        self._tokenizer = tokenizer
        self._evaluator = evaluator
        self._losses: deque[torch.Tensor] = deque(maxlen=_RECENT)
        super().__init__(
            model=model,
            args=args,
            processing_class=tokenizer,
            train_dataset=train_dataset,
            # Trainer requires one if it evaluates; our `evaluate` does not use it.
            eval_dataset=train_dataset,
            data_collator=lambda features: recipe.collate(features, tokenizer),
            callbacks=callbacks,
        )
        self._teacher = None
        if config.teacher_states:
            self._teacher = StatesTeacher(config.teacher_states, model, tokenizer)
        self.timed = EndInTime(config.minutes, config.warmup) if config.minutes else None
        if self.timed is not None:
            self.add_callback(self.timed)
        # Our loss is a mean over the rows, so Trainer must divide it when accumulating.
        self.model_accepts_loss_kwargs = False

    def train(self, *args: Any, **kwargs: Any) -> Any:
        """Train; afterwards the model computes in float32 again, as it is saved and exported."""
        result = super().train(*args, **kwargs)
        # accelerate would remove the decorators of transformers' own forward too.
        own = vars(self.accelerator.unwrap_model(self.model))
        for name in ("forward", "_original_forward"):
            own.pop(name, None)
        return result

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Any = None,
    ) -> Any:
        labels = inputs.pop("labels")
        with ExitStack() as stack:
            vectors: list[torch.Tensor] = []
            states: list[torch.Tensor] = []
            if self._recipe.reads_vectors:
                vectors = stack.enter_context(inputs_of(output_layer(model)))
            if self._teacher is not None:
                states = stack.enter_context(self._teacher.recorded(model))
            stack.enter_context(self._recipe.narrowed(model, labels))
            outputs = model(**inputs)
        loss = self._recipe.loss(
            {**outputs, "vectors": vectors[-1]} if vectors else outputs, labels
        )
        if self._teacher is not None:
            weight = self._config.teacher_states_weight
            loss = loss + weight * self._teacher.loss(inputs, states)
        self._losses.append(loss.detach())
        return (loss, outputs) if return_outputs else loss

    def facts(self) -> dict[str, Any]:
        """What the record of the run says about the training, with keys of `RESULT`."""
        return {"steps": self.state.global_step}

    def show_progress(self, part: str = "") -> None:
        """Show the progress of the training on standard error, in one line.

        Args:
            part: See `ShowProgress`.
        """
        timed = self.timed
        left = None if timed is None else lambda: timed.left
        self.remove_callback(PrinterCallback)
        self.add_callback(
            ShowProgress(
                self.recent_loss, self._recipe.metric, self._config.progress_seconds, left, part
            )
        )

    def recent_loss(self) -> float | None:
        """Mean loss of the last batches of this process; None before the first one."""
        return float(torch.stack([*self._losses]).mean()) if self._losses else None

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Score the model with the recipe's evaluator; the main process does it for all."""
        with in_evaluation(self.model):
            scores = broadcast(self._evaluator(self.model) if is_main() else {})
        metrics = {f"eval_{name}": value for name, value in scores.items()}
        loss = self.recent_loss()
        self.log(metrics if loss is None else {"loss": loss, **metrics})  # which adds the epoch
        self.control: TrainerControl = self.callback_handler.on_evaluate(
            self.args, self.state, self.control, metrics
        )
        return metrics

    def create_optimizer(self) -> torch.optim.Optimizer:
        if getattr(self, "optimizer", None) is None:
            self.optimizer: torch.optim.Optimizer = torch.optim.AdamW(
                parameter_groups(self.model, self._config),
                betas=(0.9, self._config.beta2),
                fused=True,
            )
        return self.optimizer

    def create_scheduler(
        self, num_training_steps: int, optimizer: torch.optim.Optimizer | None = None
    ) -> Any:
        if self.timed is not None and getattr(self, "lr_scheduler", None) is None:
            self.lr_scheduler: Any = LambdaLR(optimizer or self.optimizer, self.timed.factor)
        return super().create_scheduler(num_training_steps, optimizer)

    def get_train_dataloader(self) -> DataLoader[Any]:
        tokens, workers = (
            self._config.batch_tokens,
            _WORKERS if self.args.device.type == "cuda" else 0,
        )
        if tokens is None and not workers:
            loader: DataLoader[Any] = super().get_train_dataloader()
            return loader
        sampling: dict[str, Any] = (
            {"batch_size": self._train_batch_size, "sampler": self._get_train_sampler()}
            if tokens is None
            else {"batch_sampler": TokenBatches(self.train_dataset, tokens, self.args.seed)}
        )
        loader = DataLoader(
            self.train_dataset,
            collate_fn=self.data_collator,
            num_workers=workers,
            # Workers get the rows of an epoch by forking; a new process would need to pickle them.
            multiprocessing_context="fork" if workers else None,
            **sampling,
        )
        prepared: DataLoader[Any] = self.accelerator.prepare(loader)
        return prepared

    def _get_train_sampler(self, train_dataset: Any = None) -> Sampler[int]:
        rows = self.args.train_batch_size * self.args.gradient_accumulation_steps
        return EpochSampler(self.train_dataset, rows, self.args.seed)


def parameter_groups(model: Any, config: TrainConfig) -> list[dict[str, Any]]:
    """Optimizer groups: no weight decay on biases and norms, a lower rate for lower layers.

    The head has ``learning_rate``, the top layer ``layer_decay`` times that, and each lower layer
    ``layer_decay`` times the rate of the layer above it; the embeddings are the lowest.
    """
    layers = [int(m[1]) for name, _ in model.named_parameters() if (m := LAYER.search(name))]
    depth = max(layers, default=-1) + 1
    base: str = model.base_model_prefix + "."
    groups: dict[tuple[int, bool], list[torch.nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        if layer := LAYER.search(name):
            distance = depth - int(layer[1])
        elif name.startswith(base):
            distance = 1 if "pooler" in name else depth + 1
        else:
            distance = 0
        decayed = parameter.ndim > 1  # the weights of norms, and biases, have one dimension
        groups.setdefault((distance, decayed), []).append(parameter)
    return [
        {
            "params": parameters,
            "lr": config.learning_rate * config.layer_decay**distance,
            "weight_decay": config.weight_decay if decayed else 0.0,
        }
        for (distance, decayed), parameters in sorted(groups.items(), key=lambda item: item[0])
    ]


def freeze(model: Any, part: str, layers: int = 0) -> None:
    """Exclude a part of the model from training.

    Args:
        model: The model.
        part: ``none``, ``embeddings``, or the whole ``encoder``.
        layers: Number of lowest layers to exclude as well; above 0, also the embeddings.
    """
    for name, parameter in model.base_model.named_parameters():
        layer = LAYER.search(f".{name}")
        depth = int(layer[1]) if layer else -1 if "embed" in name else None
        low = depth is not None and depth < layers and layers > 0
        if part == "encoder" or low or (part == "embeddings" and depth == -1):
            parameter.requires_grad = False
