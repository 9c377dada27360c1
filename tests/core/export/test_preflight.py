"""Checks of a checkpoint that need no export."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nlplug.errors import ExportError
from nlplug.export.config import ExportConfig
from nlplug.export.preflight.alternatives import check_alternatives
from nlplug.export.preflight.answers import check_answers, check_labels
from nlplug.export.preflight.files import check_files
from nlplug.export.preflight.record import RECORD_FILE, check_record, write_record
from nlplug.export.preflight.run import row_texts
from nlplug.families.sequence_classification.scoring import ClassificationEvaluation
from nlplug.families.span_extraction.scoring import SpanExtractionEvaluation
from nlplug.plugins import PluginHost

pytestmark = pytest.mark.train

IDS = np.random.default_rng(0).integers(0, 64, (60, 12))


def bert(**settings: Any) -> Any:
    """Random weights, so large that the answers depend on every setting."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification

    torch.manual_seed(0)
    sizes = {"hidden_size": 64, "num_hidden_layers": 2, "intermediate_size": 64, "vocab_size": 64}
    config = BertConfig(**{**sizes, "num_attention_heads": 2, **settings})
    model = BertForSequenceClassification(config).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(1 if weight.ndim == 1 else 12)
    return model


def margins(model: Any) -> np.ndarray:
    import torch

    with torch.inference_mode():
        logits: np.ndarray = model(input_ids=torch.from_numpy(IDS)).logits.numpy()
    return logits[:, 1] - logits[:, 0]


@pytest.mark.parametrize(
    ("name", "wrong", "right"),
    [("num_attention_heads", 4, 2), ("hidden_act", "tanh", "gelu")],
)
def test_a_setting_that_leaves_no_trace_in_the_shapes_is_found_with_labels(
    name: str, wrong: Any, right: Any
) -> None:
    expected = margins(bert(**{name: right}))
    middle = np.median(expected)

    def score(model: Any) -> np.ndarray:
        right_rows: np.ndarray = (margins(model) > middle) == (expected > middle)
        return right_rows.astype(float)

    assert check_alternatives(bert(**{name: right}), score) == []
    (found,) = check_alternatives(bert(**{name: wrong}), score)
    assert f"{name} is {wrong!r} in config.json, and with {right!r} the PyTorch" in found.message


def pairs(*rows: tuple[str, str, int]) -> tuple[list[Any], list[int]]:
    """Answers and targets: right label, given label, how often."""
    given = [[{"label": answer, "score": 0.9}] for _, answer, count in rows for _ in range(count)]
    return given, ["abc".index(truth) for truth, _, count in rows for _ in range(count)]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([("a", "a", 40), ("b", "b", 30), ("c", "c", 30)], None),
        ([("a", "a", 40), ("b", "c", 30), ("c", "b", 28), ("c", "c", 2)], "swapped: 42.0% of 100"),
        ([("a", "b", 30), ("b", "c", 30), ("c", "a", 30)], "'a' means 'c', 'b' means 'a'"),
        ([("a", "a", 50), ("b", "a", 30)], "answers 'a' for all 80 rows, which have 2 labels"),
        ([("a", "a", 9), ("a", "b", 20), ("b", "a", 9), ("b", "b", 5)], "would be for 67.4%"),
        ([("a", "b", 9), ("b", "a", 9)], None),
    ],
)
def test_answers_on_labelled_rows(rows: list[tuple[str, str, int]], message: str | None) -> None:
    given, targets = pairs(*rows)
    evaluation = ClassificationEvaluation("abc")
    found = check_labels(evaluation, given, targets)
    found = found or check_answers(evaluation, given, targets, bert())
    assert [message in one.message for one in found] == ([] if message is None else [True])


@pytest.mark.parametrize(("words", "refused"), [(4, False), (60, True)])
def test_answers_that_hold_the_right_one_among_all_others_are_refused(
    words: int, refused: bool
) -> None:
    evaluation = SpanExtractionEvaluation([])
    others = " ".join(f"other{number}" for number in range(words))
    given = [{"answer": f"{others} word{row}", "score": 0.5} for row in range(30)]
    found = check_answers(evaluation, given, [[f"word{row}"] for row in range(30)], bert())
    assert ["have little to do with the 30 rows" in one.message for one in found] == [
        True
    ] * refused


def test_scoring_keeps_the_best_label_only() -> None:
    evaluation = ClassificationEvaluation("abc")
    answer = [{"label": "b", "score": 0.7}, {"label": "a", "score": 0.3}]
    assert evaluation.kept(answer, 0) == answer[:1]
    assert evaluation.kept(answer, (0, 1)) == answer
    assert evaluation.label_pairs([answer, []], [0, 1]) == [("a", "b")]


def test_a_part_that_the_index_lists_and_that_is_missing_is_named(tmp_path: Path) -> None:
    index = '{"metadata": {}, "weight_map": {"head.weight": "model-00001-of-00001.safetensors"}}'
    (tmp_path / "model.safetensors.index.json").write_text(index, encoding="utf-8")
    (found,) = check_files(tmp_path)
    assert found.message.startswith("model-00001-of-00001.safetensors is missing")


@pytest.mark.parametrize(
    ("index", "message"),
    [
        ([], "has no metadata"),
        ({"metadata": {}}, "has no weight_map"),
        ({"weight_map": {"a": "model.bin"}}, "has no metadata"),
        ({"metadata": {}, "weight_map": ["a"]}, "has no weight_map"),
        ({"metadata": {}, "weight_map": {"a": "../b.safetensors"}}, "file of a, which is not in"),
        ({"metadata": {}, "weight_map": {"a": 1}}, "has 1 as the file of a"),
    ],
    ids=str,
)
def test_a_malformed_list_of_parts_is_named(index: Any, message: str, tmp_path: Path) -> None:
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
    assert message in check_files(tmp_path)[0].message


def test_a_changed_tensor_is_named_and_an_unreadable_record_is_an_error(
    make_checkpoint: Callable[..., Path], toy_tokenizer: Any, tmp_path: Path
) -> None:
    import torch
    from transformers import BertForSequenceClassification

    model = BertForSequenceClassification.from_pretrained(make_checkpoint("bert")).eval()
    write_record(tmp_path, model, toy_tokenizer)
    assert check_record(tmp_path, model, toy_tokenizer) == []
    with torch.no_grad():
        model.classifier.bias += 0.5
    (found,) = check_record(tmp_path, model, toy_tokenizer)
    assert "changed tensors: classifier.bias. Its outputs differ by" in found.message
    (tmp_path / RECORD_FILE).write_text("{}", encoding="utf-8")
    with pytest.raises(ExportError, match="cannot be read"):
        check_record(tmp_path, model, toy_tokenizer)


@pytest.mark.parametrize(
    ("task", "row", "texts"),
    [
        ("ner", {"tokens": ["Ada", "slept"], "tags": ["B-PER", "O"]}, 2),
        ("classification", {"text": "good", "label": "positive"}, 1),
        ("generation", {"text": "Once upon a time"}, 1),
    ],
)
def test_labels_are_not_among_the_texts_that_a_tokenizer_must_know(
    task: str, row: dict[str, Any], texts: int, tmp_path: Path
) -> None:
    data = tmp_path / "dev.jsonl"
    data.write_text(json.dumps(row), encoding="utf-8")
    config = ExportConfig(
        tmp_path, tmp_path / "out", PluginHost.discover().task(task), eval_data=data
    )
    assert len(list(row_texts(config))) == texts
