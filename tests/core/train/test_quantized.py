"""The simulated rounding is that of the exported graph, and lets gradients through."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from nlplug.export.quantize import quantize_columns
from nlplug.task import Task
from nlplug.train.config import TrainConfig
from nlplug.train.quantized import round_inputs, round_weights, simulate_int8
from nlplug.train.run import fine_tune

pytestmark = pytest.mark.train


def test_weights_are_rounded_within_half_a_step_of_their_row() -> None:
    weight = torch.randn(5, 64, generator=torch.Generator().manual_seed(0))
    step = weight.abs().amax(-1, keepdim=True) / 127
    rounded = round_weights(weight)
    assert bool(((rounded - weight).abs() <= step / 2 + 1e-6).all())
    assert torch.allclose(rounded / step, (rounded / step).round(), atol=1e-3)


def test_the_largest_weight_of_a_row_is_kept_as_the_export_keeps_it() -> None:
    weight = torch.randn(3, 16, generator=torch.Generator().manual_seed(1))
    whole, scale = quantize_columns(weight.numpy().T)
    exported = torch.from_numpy((whole * scale).T.astype(np.float32))
    step = weight.abs().amax(-1, keepdim=True) / 127
    assert bool(((round_weights(weight) - exported).abs() <= step).all())


def test_inputs_get_256_levels_with_zero_among_them() -> None:
    inputs = torch.linspace(-1.0, 3.0, 4001)
    rounded = round_inputs(inputs)
    assert len(rounded.unique()) <= 256
    assert bool((rounded == 0).any())
    assert bool(((rounded - inputs).abs() <= 4 / 255).all())


def test_gradients_pass_through_the_rounding() -> None:
    weight = torch.randn(4, 8, requires_grad=True)
    (round_weights(weight) * 3).sum().backward()
    assert weight.grad is not None
    assert bool((weight.grad == 3).all())


def test_the_head_stays_in_float_and_no_weight_is_renamed(tiny_bert: Path) -> None:
    from transformers import AutoModelForSequenceClassification

    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_pretrained(tiny_bert).eval()
    names = set(model.state_dict())
    ids = torch.tensor([[2, 5, 6, 3]])
    before = model(input_ids=ids).logits
    simulate_int8(model)
    after = model(input_ids=ids).logits
    assert set(model.state_dict()) == names
    assert bool((before != after).any())
    assert torch.allclose(before, after, atol=0.05)
    assert type(model.classifier).forward is torch.nn.Linear.forward
    assert "forward" not in vars(model.classifier)


def test_a_model_learns_under_it(toy_task: Task, config: Callable[..., TrainConfig]) -> None:
    import json

    folder = fine_tune(toy_task, config(simulate_int8=True))
    record = json.loads((folder.parent / "run.json").read_text())
    assert record["scores"]["accuracy"] == 1.0
