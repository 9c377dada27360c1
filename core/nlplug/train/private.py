"""The trainer of a differentially private run; see `nlplug.train.privacy` for the guarantee.

Opacus computes the gradient of each row, clips it and adds the noise. Its hooks take the first axis
of a layer's input for the rows, which is wrong where rows share a computation, such as that of
positions. So embeddings are not trained, and the gradients of two rows are compared with those that
are computed row by row; a model for which they differ is refused.
"""

from __future__ import annotations

import secrets
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.utils.data import BatchSampler, DataLoader

from nlplug.errors import TrainingError
from nlplug.extras import require
from nlplug.train.privacy import PURPOSE, privacy_of
from nlplug.train.trainer import EpochSampler, RecipeTrainer
from nlplug.train.training_set import TrainingSet
from nlplug.train.ways import EXTRA

_ROWS = "rows"
_PART = 16
"""Number of rows whose gradients are in memory at a time."""
_TOLERANCE = 1e-4
_NOT_PRIVATE = frozenset({"grad_norm", "loss", "train_loss"})
"""Logged numbers that are computed from training rows without noise."""


class PoissonBatches(BatchSampler):
    """Batches to which each row belongs with the same probability; they may be empty.

    Args:
        dataset: The training rows.
        count: Number of batches per epoch; a row is in each with a probability of 1 / count.
        generator: Source of randomness, which has to be secret.
    """

    def __init__(self, dataset: TrainingSet, count: int, generator: torch.Generator) -> None:
        # accelerate calls set_epoch on the attribute of this name.
        self.sampler: EpochSampler = EpochSampler(dataset, 1, 0)
        self.batch_size: Any = None
        self.drop_last = False
        self._rows = len(dataset)
        self._count = count
        self._generator = generator

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[list[int]]:
        for _ in range(self._count):
            chances = torch.rand(self._rows, generator=self._generator)
            yield (chances * self._count < 1).nonzero().flatten().tolist()


class PrivateTrainer(RecipeTrainer):
    """A `RecipeTrainer` with differential privacy for the training rows (DP-SGD).

    Which rows are in a step, and the noise, come from a generator with a secret seed: whoever knows
    the seed could subtract the noise. So a run cannot be repeated exactly.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._private: Any = None
        super().__init__(*args, **kwargs)
        self._privacy = privacy_of(self._config, len(self.train_dataset))
        device = self.args.device
        self._generator = torch.Generator(device).manual_seed(secrets.randbits(63))
        self._sampling = torch.Generator().manual_seed(secrets.randbits(63))
        for module in self.model.modules():
            if isinstance(module, nn.Embedding):
                module.requires_grad_(False)
        self._hooks = self._attached()

    def facts(self) -> dict[str, Any]:
        done = self._privacy.after(self.state.global_step)
        return {**super().facts(), "privacy": done.record()}

    def train(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().train(*args, **kwargs)
        finally:
            self._hooks.cleanup()

    def log(self, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:
        shown = {name: value for name, value in logs.items() if name not in _NOT_PRIVATE}
        super().log(shown, *args, **kwargs)

    def create_optimizer(self) -> torch.optim.Optimizer:
        if self._private is None:
            optimizers = require("opacus.optimizers", EXTRA, purpose=PURPOSE)
            self._private = optimizers.DPOptimizer(
                super().create_optimizer(),
                noise_multiplier=self._privacy.noise,
                max_grad_norm=self._privacy.clip,
                expected_batch_size=self._privacy.rows * self._privacy.sample_rate,
                generator=self._generator,
            )
            self.optimizer = self._private
        return self.optimizer

    def get_train_dataloader(self) -> DataLoader[Any]:
        count = round(1 / self._privacy.sample_rate)
        batches = PoissonBatches(self.train_dataset, count, self._sampling)
        loader: DataLoader[Any] = DataLoader(
            self.train_dataset, batch_sampler=batches, collate_fn=self._collate
        )
        prepared: DataLoader[Any] = self.accelerator.prepare(loader)
        return prepared

    def training_step(
        self, model: nn.Module, inputs: dict[str, Any], num_items_in_batch: Any = None
    ) -> torch.Tensor:
        """Sum the clipped gradients of the rows, some rows at a time; the next step adds noise."""
        model.train()
        self._private.zero_grad()
        inputs = self._prepare_inputs(inputs)
        rows = int(inputs.pop(_ROWS))
        losses = []
        for start in range(0, max(rows, 1), _PART):
            if start:  # clips and sums the gradients of the part before
                self._private.signal_skip_step()
                self._private.step()
                self._private.zero_grad()
            part = {name: value[start : start + _PART] for name, value in inputs.items()}
            found = self._row_losses(model, part)
            losses.append(found.detach())
            # Of an empty batch there is one row, which does not count.
            _backward(found.sum() if rows else 0 * found.sum())
        self._losses.append(torch.cat(losses).mean())
        return self._losses[-1]

    def _collate(self, features: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        batch = self._recipe.collate(features or [self.train_dataset[0]], self._tokenizer)
        return {**batch, _ROWS: torch.tensor(len(features))}

    def _row_losses(self, model: nn.Module, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """The loss of each row, which depends on no other row."""
        labels = batch["labels"]
        outputs = model(**{name: value for name, value in batch.items() if name != "labels"})
        logits = outputs["logits"]
        return torch.stack(
            [
                self._recipe.loss({"logits": logits[row : row + 1]}, labels[row : row + 1])
                for row in range(len(labels))
            ]
        )

    def _attached(self) -> Any:
        """The hooks of Opacus, after a comparison with gradients that are computed row by row.

        Raises:
            TrainingError: They differ.
        """
        kind = require("opacus.grad_sample", EXTRA, purpose=PURPOSE).GradSampleHooks
        lengths: list[int] = self.train_dataset.lengths()
        longest = sorted(range(len(lengths)), key=lengths.__getitem__)[-2:]
        items = [self.train_dataset[row] for row in longest]
        batch = self._prepare_inputs(self._recipe.collate(items, self._tokenizer))
        self.model.eval()  # without dropout, which would differ
        precision = self.model.dtype
        self.model.double()  # small differences, too, are no rounding errors then
        expected = [self._gradients(batch, row) for row in range(len(items))]
        for name, weight in self.model.named_parameters():
            if weight.requires_grad and all(name not in found for found in expected):
                weight.requires_grad = False  # such as a pooler whose output nothing reads
        own = [module for module in self.model.modules() if [*module.parameters(recurse=False)]]
        for module in own:  # the hooks work in training mode only
            module.training = True
        try:
            hooks = kind(self.model, loss_reduction="sum")
            _backward(self._row_losses(self.model, batch).sum())
            trained = [(n, w) for n, w in self.model.named_parameters() if w.requires_grad]
            exact = {name: torch.stack([found[name] for found in expected]) for name, _ in trained}
            least = _TOLERANCE**2 * max(float(value.norm()) for value in exact.values())
            wrong = [name for name, w in trained if not _same(w.grad_sample, exact[name], least)]
        except (NotImplementedError, RuntimeError, KeyError) as error:
            wrong = [str(error).splitlines()[0]]
        if wrong:
            raise TrainingError(
                "Differentially private training needs the gradient of each row, which is not "
                f"known for the architecture {self.model.config.model_type!r} ({wrong[0]}).",
                hint="Use another base, such as a BERT, RoBERTa or DistilBERT.",
            )
        hooks.set_grad_sample_to_none()
        self.model.zero_grad()
        self.model.to(precision)
        return hooks

    def _gradients(self, batch: Mapping[str, torch.Tensor], row: int) -> dict[str, torch.Tensor]:
        """The gradient of the loss of one row, by parameter; without those that it does not use."""
        alone = {name: value[row : row + 1] for name, value in batch.items()}
        names, weights = zip(
            *((n, w) for n, w in self.model.named_parameters() if w.requires_grad), strict=True
        )
        loss = self._row_losses(self.model, alone).sum()
        found = torch.autograd.grad(loss, weights, allow_unused=True)
        return {n: value for n, value in zip(names, found, strict=True) if value is not None}


def _backward(loss: torch.Tensor) -> None:
    with warnings.catch_warnings():
        # The first trained layer has inputs without gradients, because embeddings are not trained.
        warnings.filterwarnings("ignore", message="Full backward hook is firing")
        loss.backward()


def _same(found: Any, exact: torch.Tensor, least: float) -> bool:
    if not isinstance(found, torch.Tensor) or found.shape != exact.shape:
        return False
    return bool((found - exact).norm() <= _TOLERANCE * exact.norm() + least)
