"""The classification recipe: its labels, its checks of rows, its loss and its windows."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nlplug.data import DataRow
from nlplug.errors import DataError, TrainingError
from nlplug.families.sequence_classification.training import (
    SequenceClassificationRecipe,
    pair_loss,
)
from nlplug.task import Task
from nlplug.train.config import TrainConfig

pytestmark = pytest.mark.train

Make = Callable[..., TrainConfig]
Recipes = Callable[..., SequenceClassificationRecipe]


def rows(*values: Any, column: str = "label") -> list[DataRow]:
    return [
        DataRow({"text": f"text {number}", column: value}, Path("d.csv"), number)
        for number, value in enumerate(values, start=2)
    ]


@pytest.fixture
def recipe(toy_task: Task, config: Make) -> Recipes:
    def make(*labels: Any, **settings: Any) -> SequenceClassificationRecipe:
        made = SequenceClassificationRecipe(toy_task, config(**{"labels": [], **settings}))
        made.fit(rows(*labels))
        return made

    return make


def test_labels_of_the_data_are_sorted(recipe: Recipes) -> None:
    assert recipe("b", "c", "a", "b").labels == ["a", "b", "c"]


def test_numbers_are_sorted_as_numbers_also_out_of_a_table(recipe: Recipes) -> None:
    assert recipe("10", "9", "0").labels == ["0", "9", "10"]
    assert recipe(10, 9, 0).labels == ["0", "9", "10"]


def test_given_labels_keep_their_order_and_name_the_numbers(recipe: Recipes) -> None:
    made = recipe(1, "no", "0", labels=["no", "yes"])
    assert [example.labels for example in made.examples(rows(1, "no", "0"))] == [(1,), (0,), (0,)]


def test_a_task_may_have_labels_of_its_own(toy_task: Task, config: Make) -> None:
    class Judged(type(toy_task)):  # type: ignore[misc]
        labels = ("negative", "positive")

    def labels(*values: Any) -> list[str]:
        made = SequenceClassificationRecipe(Judged(), config(labels=[]))
        made.fit(rows(*values))
        return made.labels

    assert labels(0, 1) == ["negative", "positive"]
    assert labels("positive", "negative") == ["negative", "positive"]
    assert labels("positive", "neutral") == ["neutral", "positive"]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"text": "a", "label": "other"}, "unknown label 'other'"),
        ({"text": "a", "label": 7}, "unknown label '7'"),
        ({"text": "a", "label": 0.5}, "holds a number, 0.5, which is not a label"),
        ({"text": "a", "label": True}, "unknown label 'true'"),
        ({"text": "a", "label": float("nan")}, "holds a number, NaN, which is not a label"),
        ({"text": "a", "label": ["b", None]}, "holds null, which is not a label"),
        ({"text": "a", "label": None}, "the column 'label' is empty"),
        ({"text": "a", "label": ""}, "the column 'label' is empty"),
        ({"text": "a", "tag": "x"}, "the column 'label' is missing"),
        ({"text": "a", "label": ["x", "y"]}, "2 labels, but one is expected"),
        ({"text": " ", "label": "x"}, "the column 'text' is ' ', not a text"),
        ({"text": 3, "label": "x"}, "the column 'text' is 3, not a text"),
        ({"title": "a", "label": "x"}, "the column 'text' is missing"),
    ],
)
def test_a_row_that_cannot_be_used_is_named(
    recipe: Recipes, values: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError) as caught:
        recipe("x", "y").examples([DataRow(values, Path("d.csv"), 9)])
    assert caught.value.message.startswith("d.csv:9: ")
    assert message in caught.value.message


def test_columns_go_by_the_names_that_are_given(toy_task: Task, config: Make) -> None:
    settings = config(labels=["x", "y"], text_column="body", label_column="tag")
    row = DataRow({"body": "a text", "tag": "y", "text": "not this"}, Path("d.csv"), 2)
    (example,) = SequenceClassificationRecipe(toy_task, settings).examples([row])
    assert (example.text, example.labels) == ("a text", (1,))


def test_one_label_in_all_of_the_data_is_refused(recipe: Recipes) -> None:
    with pytest.raises(DataError, match="has only the label 'x'"):
        recipe("x", "x")


def test_a_label_given_twice_is_refused(recipe: Recipes) -> None:
    with pytest.raises(TrainingError, match="twice"):
        recipe("x", labels=["x", "x"])


def test_lists_make_the_task_multi_label(recipe: Recipes) -> None:
    made = recipe(["b", "a"], ["c"], [])
    assert (made.multi_label, made.labels) == (True, ["a", "b", "c"])
    assert made.examples(rows(["c", "a"]))[0].labels == (0, 2)


@pytest.mark.parametrize("cell", ["a,c", " a , c ", '["a", "c"]'])
def test_a_table_holds_several_labels_with_commas_or_as_json(recipe: Recipes, cell: str) -> None:
    made = recipe("a,b", "c", multi_label=True)
    assert made.examples(rows(cell))[0].labels == (0, 2)


def test_class_weights_change_the_loss_as_worked_out_by_hand(recipe: Recipes) -> None:
    # Three of x, one of y: weights 4/(2·3) and 4/(2·1).
    made = recipe("x", "x", "x", "y", class_weights="balanced")
    logits = torch.tensor([[0.0, math.log(3.0)], [0.0, 0.0]])  # p(x) = 1/4, p(y) = 1/2
    loss = made.loss({"logits": logits}, torch.tensor([0, 1]))
    x, y = 2 / 3, 2.0
    assert loss.item() == pytest.approx((x * math.log(4) + y * math.log(2)) / (x + y), rel=1e-6)


def test_without_class_weights_the_loss_is_the_plain_mean(recipe: Recipes) -> None:
    logits = torch.tensor([[0.0, math.log(3.0)], [0.0, 0.0]])
    loss = recipe("x", "y").loss({"logits": logits}, torch.tensor([0, 1]))
    assert loss.item() == pytest.approx((math.log(4) + math.log(2)) / 2, rel=1e-6)


def test_multi_label_weights_hold_each_label_against_its_absence(recipe: Recipes) -> None:
    made = recipe(["x"], ["x"], ["x", "y"], [], class_weights="balanced")
    assert made.weights is not None
    assert made.weights.tolist() == pytest.approx([1 / 3, 3.0])


def test_smoothing_softens_the_loss(recipe: Recipes) -> None:
    made = recipe("x", "y", label_smoothing=0.2)
    logits, labels = torch.tensor([[2.0, 0.0]]), torch.tensor([0])
    log_p = torch.log_softmax(logits, -1)[0]
    soft = -(0.9 * log_p[0] + 0.1 * log_p[1]).item()
    assert made.loss({"logits": logits}, labels).item() == pytest.approx(soft)


def soft_rows(*values: Any) -> list[DataRow]:
    return [
        DataRow({"text": f"text {i}", "label": "xy"[i % 2], "soft": value}, Path("d.jsonl"), i + 1)
        for i, value in enumerate(values)
    ]


def test_a_teachers_probabilities_are_the_target_where_a_row_has_them(
    recipe: Recipes, tiny_bert: Path
) -> None:
    from transformers import AutoTokenizer

    made = recipe("x", "y", soft_column="soft")
    examples = made.examples(soft_rows([0.75, 0.25], None, "[0.5, 0.5]"))
    dataset = made.dataset(examples, AutoTokenizer.from_pretrained(tiny_bert))
    targets = np.stack([dataset[i]["labels"] for i in range(3)])
    assert targets == pytest.approx(np.array([[0.75, 0.25], [0.0, 1.0], [0.5, 0.5]]))
    logits = torch.tensor([[0.0, math.log(3.0)]])
    loss = made.loss({"logits": logits}, torch.tensor(targets[:1])).item()
    assert loss == pytest.approx(0.75 * math.log(4) + 0.25 * math.log(4 / 3), rel=1e-6)


@pytest.mark.parametrize("value", [[0.5], [0.5, 0.6], [1.5, -0.5], ["a", "b"]])
def test_numbers_that_are_no_probabilities_are_named(recipe: Recipes, value: Any) -> None:
    made = recipe("x", "y", soft_column="soft")
    with pytest.raises(DataError, match=r"d\.jsonl:1: the column 'soft' holds"):
        made.examples(soft_rows(value))


def test_labels_with_leading_zeros_stay_names(recipe: Recipes) -> None:
    assert recipe("0101", "101", "007").labels == ["007", "0101", "101"]


@pytest.mark.parametrize("cell", ["x|y", "['x', 'y']"])
def test_several_labels_in_a_cell_are_noticed(recipe: Recipes, cell: str) -> None:
    made = recipe(cell, "x", "z")
    assert (made.multi_label, made.labels) == (True, ["x", "y", "z"])
    assert recipe("x|y", "z", multi_label=False).labels == ["x|y", "z"]


def test_decimal_numbers_are_no_labels(recipe: Recipes) -> None:
    with pytest.raises(DataError, match="decimal numbers"):
        recipe("4.5", "3.0")


def test_the_loss_on_pairs_is_that_worked_out_by_hand() -> None:
    vectors = torch.tensor([[2.0, 0.0], [3.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    labels = torch.tensor([0, 0, 1, 1])
    same = [0.0, (1 - math.sqrt(0.5)) ** 2]
    other = [0.0, 0.5, 0.0, 0.5]
    wanted = (sum(same) / 2 + sum(other) / 4) / 2
    assert float(pair_loss(vectors, labels)) == pytest.approx(wanted, abs=1e-6)
    # A batch with one label, or with one row, has a loss, too.
    assert float(pair_loss(vectors[:2], labels[:2])) == pytest.approx(0, abs=1e-6)
    assert float(pair_loss(vectors[:1], labels[:1])) == 0


def test_few_rows_with_few_labels_compare_pairs_on_a_sentence_encoder(recipe: Recipes) -> None:
    def weight(count: int, labels: int, **given: Any) -> float:
        names = [f"l{number % labels}" for number in range(count)]
        return recipe(*names, **{"pooling": "mean", **given}).contrast

    assert weight(100, 6) == 5.0
    assert weight(100, 21) == 0.0
    assert weight(2000, 6) == 0.0
    assert weight(100, 6, pooling="model") == 0.0
    assert weight(2000, 6, contrast=2.0) == 2.0
    assert weight(100, 6, contrast=0.0) == 0.0
    assert weight(100, 6, contrast=2.0, multi_label=True) == 0.0


def test_fewer_rows_compare_pairs_alone_and_fit_the_output_layer_afterwards(
    recipe: Recipes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def made(count: int, **given: Any) -> SequenceClassificationRecipe:
        names = [f"l{number % 6}" for number in range(count)]
        return recipe(*names, **{"pooling": "mean", "probe": True, **given})

    alone = made(100)
    assert alone.refits
    vectors, labels = torch.tensor([[2.0, 0.0], [3.0, 1.0]]), torch.tensor([0, 0])
    outputs = {"logits": torch.ones(2, 6), "vectors": vectors}
    assert torch.equal(alone.loss(outputs, labels), pair_loss(vectors, labels))
    outputs.pop("vectors")  # that of a probe
    assert float(alone.loss(outputs, labels)) == pytest.approx(math.log(6))
    assert not made(200).refits
    assert not made(100, contrast=5.0).refits
    assert not made(100, probe=False).refits
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert not made(100).refits


def test_the_loss_reads_the_vectors_in_training_only(recipe: Recipes) -> None:
    made = recipe("a", "b", contrast=2.0)
    assert made.reads_vectors
    logits, labels = torch.zeros(2, 2), torch.tensor([0, 1])
    plain = float(made.loss({"logits": logits}, labels))
    vectors = torch.ones(2, 3)
    both = float(made.loss({"logits": logits, "vectors": vectors}, labels))
    assert both == pytest.approx(plain + 2.0)
