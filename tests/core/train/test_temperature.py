"""Temperature scaling: the right factor is found, and it is in the weights of the trained model."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from nlplug.evaluation.metrics import calibration
from nlplug.families.sequence_classification.temperature import fit_temperature, improves
from nlplug.task import Task
from nlplug.train.config import TrainConfig

Logits = tuple[np.ndarray, np.ndarray]


def softmax(logits: np.ndarray) -> np.ndarray:
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(shares / shares.sum(axis=1, keepdims=True))


@pytest.fixture
def calibrated() -> Logits:
    """Logits whose softmax gives the true probabilities of the targets."""
    random = np.random.default_rng(0)
    logits = random.normal(0, 2, (4000, 5))
    drawn = [random.choice(5, p=row) for row in softmax(logits)]
    return logits, np.array(drawn)


@pytest.mark.parametrize("factor", [0.5, 1.0, 3.0])
def test_the_factor_by_which_logits_are_wrong_is_found(calibrated: Logits, factor: float) -> None:
    logits, targets = calibrated
    assert fit_temperature(logits * factor, targets) == pytest.approx(factor, rel=0.06)


def test_scaled_scores_are_probabilities(calibrated: Logits) -> None:
    logits, targets = calibrated[0] * 3, calibrated[1]
    temperature = fit_temperature(logits[:1000], targets[:1000])
    assert temperature is not None
    held, right = logits[1000:], targets[1000:]

    def error(given: np.ndarray) -> float:
        scores = softmax(given)
        return float(calibration(scores.max(1), scores.argmax(1) == right)["ece"])

    assert error(held) > 0.15
    assert error(held / temperature) < 0.03


def test_several_labels_per_text_have_one_temperature() -> None:
    random = np.random.default_rng(0)
    logits = random.normal(0, 2, (4000, 3))
    targets = (random.random((4000, 3)) < 1 / (1 + np.exp(-logits))).astype(float)
    assert fit_temperature(logits * 2, targets) == pytest.approx(2, rel=0.06)


def test_rows_without_an_error_say_nothing(calibrated: Logits) -> None:
    logits, _ = calibrated
    assert fit_temperature(logits, logits.argmax(axis=1)) is None
    assert not improves(logits, logits.argmax(axis=1))


@pytest.mark.parametrize(("factor", "better"), [(1.0, False), (3.0, True)])
def test_a_model_that_is_calibrated_is_left_as_it_is(
    calibrated: Logits, factor: float, better: bool
) -> None:
    assert improves(calibrated[0] * factor, calibrated[1]) is better


@pytest.mark.train
def test_a_trained_model_has_the_temperature_in_its_last_layer(
    toy_task: Task, config: Callable[..., TrainConfig], tmp_path: Path
) -> None:
    from safetensors.numpy import load_file
    from toy_set import toy_rows, write_jsonl

    from nlplug.train.run import fine_tune

    rows = toy_rows(220)
    for row in rows[::7]:  # wrong labels, so that not all answers are right
        row["label"] = 1 - row["label"]
    dev = write_jsonl(tmp_path / "noisy.jsonl", rows)
    folders = {
        name: fine_tune(
            toy_task, config(eval=[str(dev)], calibrate=name == "on", output=tmp_path / name)
        )
        for name in ("on", "off")
    }
    record = json.loads((folders["on"].parent / "run.json").read_text())["scores"]
    before = json.loads((folders["off"].parent / "run.json").read_text())["scores"]
    assert record["ece"] < before["ece"]
    assert record["accuracy"] == before["accuracy"]
    on, off = (load_file(folders[name] / "model.safetensors") for name in ("on", "off"))
    expected = off["classifier.weight"] / record["temperature"]
    np.testing.assert_allclose(on["classifier.weight"], expected, rtol=1e-5)
    same = [name for name in on if not name.startswith("classifier")]
    assert all((on[name] == off[name]).all() for name in same)
