"""Differentially private training: what it guarantees, what it refuses, and what it says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nlplug.data import read_rows
from nlplug.errors import OptionError, TrainingError
from nlplug.models.bundle import Bundle
from nlplug.models.card import model_card
from nlplug.task import Task
from nlplug.train.config import TrainConfig
from nlplug.train.privacy import privacy_of
from nlplug.train.run import fine_tune, train
from nlplug.train.workspace import Workspace

pytestmark = pytest.mark.train
Make = Callable[..., TrainConfig]


def trainer_of(toy_task: Task, config: TrainConfig, model: Any = None) -> Any:
    """The trainer of a run, without the run."""
    from transformers import AutoTokenizer

    from nlplug.train.arguments import training_arguments
    from nlplug.train.private import PrivateTrainer
    from nlplug.train.rows import read_run
    from nlplug.train.run import _recipe

    recipe = _recipe(toy_task, config)
    rows = read_run(config, recipe.key)
    recipe.fit(rows.train)
    tokenizer = AutoTokenizer.from_pretrained(config.base)
    dataset = recipe.dataset(recipe.examples(rows.train), tokenizer)
    arguments = training_arguments(recipe, config, config.output, evaluates=False)
    chosen = recipe.model() if model is None else model
    return PrivateTrainer(recipe, config, chosen, arguments, tokenizer, dataset, dict, [])


def test_a_private_run_learns_and_its_bundle_says_how_private_it_is(
    toy_task: Task, config: Make
) -> None:
    output = config().output
    # Embeddings are not trained, so the run starts from a checkpoint that has useful ones.
    base = fine_tune(toy_task, config(epochs=6, eval_steps=54, output=output.with_name("base")))
    settings = config(
        base=str(base),
        labels=["good", "bad"],  # so that its head is wrong
        private_epsilon=200,
        epochs=30,
        batch_size=72,  # all rows: the noise of a part of them takes seconds to compute
        learning_rate=4e-3,
        eval_steps=30,
        precisions=["fp32"],
    )
    bundle = Bundle.open(train(toy_task, settings))
    work = Workspace.of(settings)
    record = json.loads((work.folder / "run.json").read_text())
    assert record["scores"]["accuracy"] > 0.9
    privacy = bundle.manifest.privacy
    assert privacy == record["privacy"]
    assert 199 < privacy["epsilon"] <= 200
    assert privacy["delta"] == pytest.approx(0.1 / 72)
    assert (privacy["rows"], privacy["steps"], privacy["sample_rate"]) == (72, 30, 1)
    assert f"epsilon = {privacy['epsilon']:.2f}" in model_card(bundle.manifest)
    report = settings.output.with_name("out.report")
    assert "differential privacy" in (report / "report.md").read_text()
    values = json.loads((report / "report.json").read_text())
    assert values["privacy"] == privacy
    assert not values["check"], "the check quotes training rows"

    # Nothing else of what is handed on is computed from training rows without noise.
    assert all("sha256" not in record for record in bundle.manifest.data)
    curve = work.curve.read_text()
    assert "loss" not in curve
    assert "grad_norm" not in curve
    assert {*_texts(work.calibration_file)} <= {*_texts(work.eval_file)}


def _texts(file: Path) -> list[str]:
    return [row.text("text") for row in read_rows(file)]


def test_a_row_moves_the_sum_of_gradients_by_the_clip_at_most(toy_task: Task, config: Make) -> None:
    import torch

    settings = config(
        private_epsilon=8, private_clip=0.01, batch_size=72, dropout=0.0, learning_rate=1e-12
    )
    trainer = trainer_of(toy_task, settings)
    optimizer = trainer.create_optimizer()
    optimizer.noise_multiplier = 0.0

    def gradients(rows: range) -> Any:
        batch = trainer._collate([trainer.train_dataset[row] for row in rows])
        trainer.training_step(trainer.model, batch)
        optimizer.step()
        return 72 * torch.cat([weight.grad.flatten() for weight in optimizer.params])

    # More rows than are computed at a time.
    with_row, without = gradients(range(34)), gradients(range(33))
    assert float((with_row - without).norm()) == pytest.approx(0.01, rel=1e-3)
    assert float(gradients(range(0)).norm()) == 0.0, "a batch may be empty"


def test_a_row_is_in_each_batch_with_the_same_probability(toy_task: Task, config: Make) -> None:
    import torch

    from nlplug.train.private import PoissonBatches

    dataset = trainer_of(toy_task, config(private_epsilon=8, batch_size=72)).train_dataset
    batches = [*PoissonBatches(dataset, 400, torch.Generator().manual_seed(0))]
    assert len(batches) == 400
    sizes = torch.tensor([float(len(batch)) for batch in batches])
    rate = 1 / 400
    assert float(sizes.mean()) == pytest.approx(72 * rate, rel=0.2)
    assert float(sizes.var()) == pytest.approx(72 * rate * (1 - rate), rel=0.2)


def test_the_noise_is_not_known_from_the_seed(toy_task: Task, config: Make) -> None:
    import torch

    found = []
    for _ in range(2):
        trainer = trainer_of(toy_task, config(private_epsilon=8, batch_size=72, seed=3))
        optimizer = trainer.create_optimizer()
        trainer.training_step(trainer.model, trainer._collate([]))
        optimizer.step()
        found.append(torch.cat([weight.grad.flatten() for weight in optimizer.params]))
    noise = optimizer.noise_multiplier
    # No row, so there is nothing but the noise, divided by the expected size of a batch.
    assert float(found[0].std()) == pytest.approx(noise / 72, rel=0.1)
    assert not torch.equal(*found)


def test_a_model_whose_rows_share_a_computation_is_refused(
    toy_task: Task, config: Make, tiny_bert: Path
) -> None:
    import torch
    from transformers import BertConfig, BertForSequenceClassification

    class Shared(BertForSequenceClassification):
        """Adds the same numbers to all rows, as models with relative positions do in attention."""

        def __init__(self, shape: BertConfig) -> None:
            super().__init__(shape)
            self.shared = torch.nn.Linear(16, 2)

        def forward(self, **inputs: torch.Tensor) -> Any:
            found = super().forward(**inputs)
            found.logits = found.logits + self.shared(torch.ones(1, 16, dtype=self.dtype))
            return found

    with pytest.raises(TrainingError, match=r"each row.*shared\.weight"):
        trainer_of(
            toy_task, config(private_epsilon=8, batch_size=72), Shared.from_pretrained(tiny_bert)
        )


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"probe": True}, "probe"),
        ({"contrast": 5.0}, "contrast"),
        ({"class_weights": "balanced"}, "class_weights"),
        ({"seeds": 2}, "seeds"),
        ({"search_minutes": 1}, "search_minutes"),
        ({"teacher": "other"}, "teacher"),
        ({"batch_tokens": 512}, "batch_tokens"),
        ({"accumulation": 2}, "accumulation"),
        ({"bf16": True}, "bf16"),
        ({"simulate_int8": True}, "simulate_int8"),
        ({"private_epsilon": None, "private_delta": 0.1}, "private_delta"),
    ],
)
def test_what_the_noise_does_not_cover_is_refused(
    toy_task: Task, config: Make, given: dict[str, Any], named: str
) -> None:
    with pytest.raises(OptionError, match=named):
        fine_tune(toy_task, config(**{"private_epsilon": 8, **given}))


@pytest.mark.parametrize(
    ("given", "named"),
    [({"private_delta": 0.02}, "private_delta"), ({"private_epsilon": 1e-7}, "private_epsilon")],
)
def test_a_budget_that_is_none_or_cannot_be_kept_is_refused(
    config: Make, given: dict[str, Any], named: str
) -> None:
    with pytest.raises(OptionError, match=named):
        privacy_of(config(**{"private_epsilon": 8, **given}), rows=72)


def test_a_delta_that_is_too_large_leaves_no_folder(toy_task: Task, config: Make) -> None:
    settings = config(private_epsilon=8, private_delta=0.02)
    with pytest.raises(OptionError, match="private_delta"):
        fine_tune(toy_task, settings)
    assert not Workspace.of(settings).folder.exists()
