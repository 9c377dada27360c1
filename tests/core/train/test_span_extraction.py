"""Training of extractive question answering: windows, nulls, the loss, and a model that answers."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from toy_set import BAD, FILLERS, GOOD, write_jsonl

from nlplug import pipeline
from nlplug.cli.main import main
from nlplug.data import DataRow
from nlplug.errors import DataError
from nlplug.families.span_extraction.training import (
    PairLayout,
    Question,
    SpanExtractionRecipe,
    WindowedQuestions,
)
from nlplug.train.config import TrainConfig

pytestmark = pytest.mark.train

Make = Callable[..., TrainConfig]
LONG = " ".join([*["the film was so"] * 3, "good", *["and a plot is"] * 5])  # 33 tokens
AT = LONG.index("good")
ASKED = Question("is a film good", LONG, ((AT, AT + 4),))
NONE = Question("is a film bad", "the plot was good", ())


@pytest.fixture
def tokenizer(tiny_bert: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(tiny_bert)


@pytest.fixture
def recipe(toy_task: Any, config: Make) -> SpanExtractionRecipe:
    return SpanExtractionRecipe(toy_task, config())


def windowed(tokenizer: Any, *questions: Question, seed: int = 0) -> WindowedQuestions:
    return WindowedQuestions(questions, tokenizer, max_length=16, seed=seed)


def spanned(tokenizer: Any, item: dict[str, Any]) -> str:
    first, last = item["labels"]
    return str(tokenizer.decode(item["input_ids"][first : last + 1]))


def toy_questions(count: int) -> list[dict[str, Any]]:
    """Contexts of which one word is the answer, and some that hold no such word."""
    chance = random.Random(0)
    rows = []
    for index in range(count):
        words = chance.choices(FILLERS, k=chance.randint(3, 8))
        answers: dict[str, list[Any]] = {"text": [], "answer_start": []}
        if index % 4:
            word = chance.choice([*GOOD, *BAD])
            words.insert(chance.randint(0, len(words)), word)
            answers = {"text": [word], "answer_start": [" ".join(words).index(word)]}
        rows.append({"question": "is a film", "context": " ".join(words), "answers": answers})
    return rows


def test_a_pair_is_framed_as_the_tokenizer_does_it(tokenizer: Any) -> None:
    expected = tokenizer("a film", "the plot was good")
    ids = expected["input_ids"]
    item, front = PairLayout(tokenizer).join(ids[1:3], ids[4:-1])
    assert item == dict(expected)
    assert front == 4


def test_tokens_types_are_left_out_where_the_model_takes_none(tokenizer: Any) -> None:
    tokenizer.model_input_names = ["input_ids", "attention_mask"]
    item, _ = PairLayout(tokenizer).join([5], [6])
    assert set(item) == {"input_ids", "attention_mask"}


def test_a_short_context_is_one_window_with_the_answer_in_place(tokenizer: Any) -> None:
    short = Question("is a film good", "the plot was so great", ((13, 21),))
    dataset = windowed(tokenizer, short, NONE, seed=1)
    assert spanned(tokenizer, dataset[0]) == "so great"
    assert dataset[1]["labels"].tolist() == [0, 0]


def test_training_mostly_sees_a_window_with_the_answer_and_each_epoch_another(
    tokenizer: Any,
) -> None:
    dataset = windowed(tokenizer, ASKED, seed=1)
    seen = []
    for epoch in [*range(60), 0]:
        dataset.set_epoch(epoch)
        item = dataset[0]
        assert len(item["input_ids"]) == 16
        seen.append((item["input_ids"], spanned(tokenizer, item)))
    assert seen[0] == seen[60]
    answers = [answer for _, answer in seen]
    assert set(answers) == {"good", "[CLS]"}  # a window without the answer points at [CLS]
    assert answers.count("good") > 45
    assert len({tuple(ids) for ids, _ in seen}) > 5


def test_of_several_right_answers_training_takes_one_after_another(tokenizer: Any) -> None:
    context = "the plot was so good"
    dataset = windowed(tokenizer, Question("is", context, ((16, 20), (13, 20))), seed=1)
    seen = set()
    for epoch in range(20):
        dataset.set_epoch(epoch)
        seen.add(spanned(tokenizer, dataset[0]))
    assert seen == {"good", "so good"}


def test_a_question_that_is_too_long_leaves_half_a_window_to_the_context(tokenizer: Any) -> None:
    dataset = windowed(tokenizer, Question("is a film good " * 20, "the plot was bad", ()))
    assert len(dataset[0]["input_ids"]) <= 16
    assert "the plot was bad" in tokenizer.decode(dataset[0]["input_ids"])


def test_the_loss_is_the_mean_of_start_and_end(recipe: SpanExtractionRecipe) -> None:
    start = torch.tensor([[0.0, math.log(3)]])  # probabilities 1/4 and 3/4
    outputs = {"start_logits": start, "end_logits": torch.zeros(1, 2)}
    loss = recipe.loss(outputs, torch.tensor([[1, 0]]))
    assert float(loss) == pytest.approx((math.log(4 / 3) + math.log(2)) / 2)


def test_a_held_out_row_is_what_evaluation_reads(recipe: SpanExtractionRecipe) -> None:
    [row] = toy_questions(2)[1:]
    [example] = recipe.examples([DataRow(row, Path("a.jsonl"), 1)])
    assert recipe.row(example) == {"id": "", **row}


def test_questions_on_one_context_fall_on_one_side(recipe: SpanExtractionRecipe) -> None:
    rows = [DataRow({"question": name, "context": "the plot"}, Path("a.jsonl"), 1) for name in "ab"]
    assert len({recipe.key(row) for row in rows}) == 1


def test_data_without_any_answer_are_refused(recipe: SpanExtractionRecipe) -> None:
    rows = [DataRow({"question": "is", "context": "a", "answer": ""}, Path("a.csv"), 2)]
    with pytest.raises(DataError, match="None of the 1 questions has an answer"):
        recipe.fit(rows)


def test_training_ends_with_a_bundle_that_answers(tiny_bert: Path, tmp_path: Path) -> None:
    rows = toy_questions(160)
    output = tmp_path / "out"
    done = CliRunner().invoke(
        main,
        [
            *("train", "qa", "--base", str(tiny_bert), "--output", str(output)),
            *("--data", str(write_jsonl(tmp_path / "train.jsonl", rows[:128]))),
            *("--eval", str(write_jsonl(tmp_path / "dev.jsonl", rows[128:]))),
            *("--epochs", "12", "--batch-size", "16", "--learning-rate", "0.01"),
            *("--precisions", "fp32", "--device", "cpu", "--threads", "1"),
        ],
    )
    assert done.exit_code == 0, done.output
    context = "was the plot so dull and a"
    with pipeline("qa", output) as ask:
        answer = ask(question="is a film", context=context)
        assert (answer["answer"], answer["start"]) == ("dull", context.index("dull"))
        # Trained with questions that have no answer, the model may say so without being told.
        assert ask.bundle.options == {"handle_impossible_answer": True}
        assert ask(question="is a film", context="the plot is a")["answer"] == ""
        assert ask.bundle.manifest is not None
        assert ask.bundle.manifest.precisions["fp32"].metrics["f1"] > 0.9


def test_a_bad_row_is_two_clean_lines(tiny_bert: Path, tmp_path: Path) -> None:
    file = tmp_path / "train.csv"
    file.write_text("question,context,answer\nwhat,the plot,film\n", encoding="utf-8")
    arguments = ["--base", str(tiny_bert), "--output", str(tmp_path / "out"), "--data", str(file)]
    done = CliRunner().invoke(main, ["train", "qa", *arguments, "--eval", str(file)])
    assert done.exit_code != 0
    assert f"{file}:2: the answer 'film' is not in the context." in done.output
    assert "Traceback" not in done.output
