"""Bits a byte and perplexity, worked out by hand for a model whose next word hangs on the last."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nlplug import Pipeline
from nlplug.errors import DataError, OptionError
from nlplug.evaluation.run import evaluate
from nlplug.families.causal_lm import CausalTask
from nlplug.families.causal_lm.scoring import Likelihood, LikelihoodScorer, TextGenerationEvaluation
from nlplug.task import Localized
from nlplug.testing import tiny_text_generator


class Tales(CausalTask):
    """What a plugin would register."""

    name = "tales"
    title: Localized = "Tales"
    description: Localized = "How does it go on?"


@pytest.fixture(scope="module")
def pipe(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    bundle = tiny_text_generator(
        tmp_path_factory.mktemp("tales"), {"red": {"fox": 3.0}, "fox": {"<end>": 2.0}}, max_length=8
    )
    with Pipeline(Tales(), bundle, threads=1) as made:
        yield made


def rows_file(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def bits(logit: float, words: int) -> float:
    """Of a word with this logit, where all others have 0."""
    return -math.log2(math.exp(logit) / (math.exp(logit) + words - 1))


def vocabulary(pipe: Pipeline) -> int:
    return len(json.loads(pipe.bundle.tokenizer_file.read_text())["model"]["vocab"])


def test_a_text_costs_the_bits_of_its_words_and_of_its_end(pipe: Pipeline, tmp_path: Path) -> None:
    size = vocabulary(pipe)
    report = evaluate(pipe, rows_file(tmp_path / "a.jsonl", {"text": "red fox"})).report
    expected = bits(0, size) + bits(3, size) + bits(2, size)
    assert report["bits_per_byte"] == pytest.approx(expected / 7, rel=1e-5)
    assert report["perplexity"] == pytest.approx(2 ** (expected / 3), rel=1e-5)
    assert (report["tokens"], report["bytes"], report["rows"]) == (3, 7, 1)


def test_of_a_prompt_and_its_completion_the_completion_counts(
    pipe: Pipeline, tmp_path: Path
) -> None:
    size = vocabulary(pipe)
    row = {"prompt": "red", "completion": "fox"}
    report = evaluate(pipe, rows_file(tmp_path / "a.jsonl", row)).report
    assert report["bits_per_byte"] == pytest.approx((bits(3, size) + bits(2, size)) / 3, rel=1e-5)


def test_a_text_longer_than_the_context_is_read_whole(pipe: Pipeline, tmp_path: Path) -> None:
    size = vocabulary(pipe)
    report = evaluate(
        pipe, rows_file(tmp_path / "a.jsonl", {"text": " ".join(["red fox"] * 20)})
    ).report
    # From fox to red, and from nothing to the first word, there is no preference: but <end> has
    # taken some of what others had after fox.
    after_fox = -math.log2(1 / (math.exp(2) + size - 1))
    expected = bits(0, size) + 20 * bits(3, size) + 19 * after_fox + bits(2, size)
    assert report["tokens"] == 41
    assert report["bits_per_byte"] == pytest.approx(expected / report["bytes"], rel=1e-5)


def test_contributions_of_rows_add_up_to_the_metric() -> None:
    evaluation = TextGenerationEvaluation([])
    answers = [Likelihood(8.0, 3, 10), Likelihood(2.0, 1, 6)]
    report = evaluation.report(answers, [None, None])
    assert evaluation.per_example(answers, [None, None]).mean() == pytest.approx(
        report["bits_per_byte"]
    )
    assert report["bits_per_byte"] == pytest.approx(10 / math.log(2) / 16)
    assert not evaluation.higher_is_better


def test_without_a_token_that_ends_texts_the_first_one_is_given() -> None:
    seen: list[Any] = []

    def logits(prompts: Any, texts: Any) -> Iterator[Any]:
        import numpy as np

        seen.extend(zip(prompts, texts, strict=True))
        return (np.zeros((len(text), 4)) for text in texts)

    reader = LikelihoodScorer(logits, lambda text: [1, 2, 3], before=(), end=(), context=8)
    found = reader.likelihood("abc")
    assert seen == [([1], [2, 3])]
    assert found.nats == pytest.approx(2 * math.log(4))


@pytest.mark.parametrize("row", [{"words": "a"}, {"text": " "}, {"text": 5}])
def test_a_row_without_a_text_is_named(tmp_path: Path, row: dict[str, Any]) -> None:
    file = rows_file(tmp_path / "a.jsonl", row)
    with pytest.raises(DataError, match=r"a\.jsonl:1: the column 'text'"):
        list(TextGenerationEvaluation([]).samples(file))


def test_the_column_of_the_text_can_be_named(tmp_path: Path) -> None:
    file = rows_file(tmp_path / "a.jsonl", {"story": "red fox", "prompt": "", "completion": ""})
    [sample] = TextGenerationEvaluation([]).samples(file, text="story")
    assert sample.input == {"prompt": "", "text": "red fox"}
    with pytest.raises(OptionError, match="no column 'label'"):
        list(TextGenerationEvaluation([]).samples(file, label="story"))
