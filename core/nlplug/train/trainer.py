"""Hugging Face's Trainer, told about our recipes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch.utils.data import Dataset, Sampler, SequentialSampler
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

_NO_DECAY = re.compile(r"(bias|layer_?norm(\.\w+)*\.weight|\bnorm\w*\.weight)$", re.IGNORECASE)
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
        (Path(args.output_dir) / f"checkpoint-{state.global_step}" / COMPLETE).touch()


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
        return (loss, {"logits": outputs["logits"]}) if return_outputs else loss

    def create_optimizer(self) -> torch.optim.Optimizer:
        if getattr(self, "optimizer", None) is None:
            self.optimizer: torch.optim.Optimizer = torch.optim.AdamW(
                parameter_groups(self.model, self._config), fused=True
            )
        return self.optimizer

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
