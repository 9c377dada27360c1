"""Hugging Face's Trainer, told about our recipes."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch.utils.data import BatchSampler, DataLoader, Dataset, Sampler, SequentialSampler
from transformers import (
    PreTrainedModel,
    PreTrainedTokenizerBase,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)
from transformers.trainer_pt_utils import LengthGroupedSampler

if TYPE_CHECKING:
    from nlplug.train.config import TrainConfig
    from nlplug.train.recipe import Recipe

COMPLETE = "complete"
"""File that is written into a checkpoint last: without it the checkpoint is ignored."""

_NO_DECAY = re.compile(
    r"(bias|layer_?norm(\.\w+)*\.weight|\b(norm\w*|ln_\w+)\.weight)$", re.IGNORECASE
)
_LAYER = re.compile(r"\.(?:layers?|h|block)\.(\d+)\.")


class MarkComplete(TrainerCallback):
    """Marks each checkpoint once all of it is on disk."""

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
    """Has a checkpoint saved when so much time has passed since the last one.

    Args:
        minutes: The time.
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
    """Appends what is logged to a file, which stays when the checkpoints go.

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
    """Shuffled batches of like lengths, whose order depends on seed and epoch alone.

    So a resumed run sees the rows in the order in which the killed one would have.
    """

    def __init__(self, dataset: Any, batch_size: int, seed: int) -> None:
        super().__init__(
            batch_size, lengths=dataset.lengths(), generator=torch.Generator().manual_seed(seed)
        )
        self._dataset = dataset
        self._seed = seed

    def set_epoch(self, epoch: int) -> None:
        """Turn to the order, and the windows, of this epoch."""
        self.generator.manual_seed((self._seed << 16) + epoch)
        if hasattr(self._dataset, "set_epoch"):
            self._dataset.set_epoch(epoch)


class TokenBatches(BatchSampler):
    """Batches of like lengths that hold about so many tokens, padding included, in any order.

    Where a batch ends depends on the lengths alone, so that each epoch has as many of them; which
    rows of one length meet in it, and the order of the batches, depend on seed and epoch.
    """

    def __init__(self, dataset: Any, tokens: int, seed: int) -> None:
        # Under this name accelerate looks for what is to be told the epoch.
        self.sampler: EpochSampler = EpochSampler(dataset, 1, seed)
        self.batch_size: Any = None
        self.drop_last = True  # of several processes each has as many batches
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
    """A Trainer whose batches, loss and learning rates come from the recipe and its config."""

    def __init__(
        self,
        recipe: Recipe,
        config: TrainConfig,
        model: PreTrainedModel,
        args: TrainingArguments,
        tokenizer: PreTrainedTokenizerBase,
        train_dataset: Dataset[Any],
        eval_dataset: Dataset[Any],
        callbacks: list[TrainerCallback],
    ) -> None:
        self._recipe = recipe
        self._config = config
        super().__init__(
            model=model,
            args=args,
            processing_class=tokenizer,
            train_dataset=train_dataset,
            eval_dataset=eval_dataset,
            data_collator=lambda features: recipe.collate(features, tokenizer),
            compute_metrics=lambda result: recipe.score(result.predictions, eval_dataset),
            callbacks=callbacks,
        )
        # Our loss is a mean over the rows, so accumulation has to divide it.
        self.model_accepts_loss_kwargs = False

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Any = None,
    ) -> Any:
        labels = inputs.pop("labels")
        outputs = model(**inputs)
        loss = self._recipe.loss(outputs, labels, training=model.training)
        inputs["labels"] = labels
        if not return_outputs:
            return loss
        return loss, {"logits": self._recipe.evaluated(outputs, labels)}

    def create_optimizer(self) -> torch.optim.Optimizer:
        if getattr(self, "optimizer", None) is None:
            self.optimizer: torch.optim.Optimizer = torch.optim.AdamW(
                parameter_groups(self.model, self._config),
                betas=(0.9, self._config.beta2),
                fused=True,
            )
        return self.optimizer

    def get_train_dataloader(self) -> DataLoader[Any]:
        if self._config.batch_tokens is None:
            loader: DataLoader[Any] = super().get_train_dataloader()
            return loader
        batches = TokenBatches(self.train_dataset, self._config.batch_tokens, self.args.seed)
        loader = DataLoader(
            self.train_dataset, batch_sampler=batches, collate_fn=self.data_collator
        )
        prepared: DataLoader[Any] = self.accelerator.prepare(loader)
        return prepared

    def _get_train_sampler(self, train_dataset: Any = None) -> Sampler[int]:
        rows = self.args.train_batch_size * self.args.gradient_accumulation_steps
        return EpochSampler(self.train_dataset, rows, self.args.seed)

    def _get_eval_sampler(self, eval_dataset: Any) -> Sampler[int]:
        # The recipe scores by position, so the order must be the dataset's own.
        return SequentialSampler(eval_dataset)


def parameter_groups(model: Any, config: TrainConfig) -> list[dict[str, Any]]:
    """Optimizer groups: no weight decay on biases and norms, a lower rate for deeper layers.

    The head has ``learning_rate``; the top layer ``layer_decay`` times that, and so on down to the
    embeddings.
    """
    layers = [int(m[1]) for name, _ in model.named_parameters() if (m := _LAYER.search(name))]
    depth = max(layers, default=-1) + 1
    base: str = model.base_model_prefix + "."
    groups: dict[tuple[int, bool], list[torch.nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        if layer := _LAYER.search(name):
            distance = depth - int(layer[1])
        elif name.startswith(base):
            distance = 1 if "pooler" in name else depth + 1
        else:
            distance = 0
        decayed = not _NO_DECAY.search(name)
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
    """Stop training a part of the model.

    Args:
        model: The model.
        part: ``none``, ``embeddings``, or the whole ``encoder``.
        layers: So many of the lowest layers, and the embeddings, besides.
    """
    for name, parameter in model.base_model.named_parameters():
        layer = _LAYER.search(f".{name}")
        depth = int(layer[1]) if layer else -1 if "embed" in name else None
        low = depth is not None and depth < layers and layers > 0
        if part == "encoder" or low or (part == "embeddings" and depth == -1):
            parameter.requires_grad = False
