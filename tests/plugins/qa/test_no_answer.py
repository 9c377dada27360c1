"""The threshold of "no answer", and how it is fitted to questions that did not train the model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nlplug import Bundle, Pipeline, pipeline
from nlplug.errors import DataError
from nlplug.evaluation.held_out import add_held_out
from nlplug.evaluation.run import evaluate
from nlplug.models.layout import CONFIDENCE_FILE
from nlplug.models.manifest import Manifest
from nlplug.models.writer import BundleWriter
from nlplug.testing import tiny_question_answerer
from nlplug_qa.task import QaTask

# "No answer" has the score of the word with the same weights.
WORDS = {"[CLS]": (3.0, 3.0), "sure": (6.0, 6.0), "weak": (3.2, 3.2), "poor": (2.5, 2.5)}


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    made = tiny_question_answerer(tmp_path / "made", WORDS)
    with BundleWriter(tmp_path / "mine") as writer:
        for path in made.path.rglob("*"):
            if path.is_file():
                copy = writer.folder / path.relative_to(made.path)
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_bytes(path.read_bytes())
        return writer.commit(Manifest.model_validate({"name": "mine", "task": "qa"}))


def questions(path: Path, counts: dict[str, int], *, right: tuple[str, ...]) -> Path:
    """Rows whose contexts have one word; the words of ``right`` are answers."""
    rows = [
        {"question": "what", "context": word, "answer": word if word in right else ""}
        for word, count in counts.items()
        for _ in range(count)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def answers(bundle: Bundle, **options: Any) -> list[str]:
    items = [{"question": "what", "context": word} for word in ("sure", "weak", "poor")]
    with Pipeline(QaTask(), bundle, threads=1) as pipe:
        return [a["answer"] for a in pipe(items, handle_impossible_answer=True, **options)]


def test_the_threshold_is_a_difference_of_logarithms(bundle: Bundle) -> None:
    assert answers(bundle) == ["sure", "weak", ""]
    assert answers(bundle, null_score_diff_threshold=0.9) == ["sure", "weak", ""]
    assert answers(bundle, null_score_diff_threshold=1.1) == ["sure", "weak", "poor"]
    assert answers(bundle, null_score_diff_threshold=-0.5) == ["sure", "", ""]
    assert answers(bundle, null_score_diff_threshold=-6.1) == ["", "", ""]
    with Pipeline(QaTask(), bundle, threads=1) as pipe:
        asked = {"question": "what", "context": "poor"}
        answer = pipe(asked, null_score_diff_threshold=-1000)
        assert answer["answer"] == "poor", "only where no answer is allowed"
        found = pipe(asked, handle_impossible_answer=True, top_k=2)
        assert [answer["answer"] for answer in found] == ["", "poor"]
        assert sum(answer["score"] for answer in found) == pytest.approx(
            0.6225**2 + 0.3775**2, 0.01
        )


def test_the_best_threshold_becomes_the_default_of_the_model(
    bundle: Bundle, tmp_path: Path
) -> None:
    rows = questions(tmp_path / "rows.jsonl", {"sure": 60, "weak": 50, "poor": 9}, right=("sure",))
    made, found = add_held_out(QaTask(), bundle, rows)
    assert found["f1"] == 1
    assert found["f1_before"] == pytest.approx(69 / 119)
    assert made.options["null_score_diff_threshold"] == pytest.approx(-3.2)
    assert not (made.path / CONFIDENCE_FILE).exists()
    assert answers(made) == ["sure", "", ""]
    with pipeline("qa", made.path, handle_impossible_answer=True) as pipe:
        assert evaluate(pipe, rows).report["f1"] == 1
    easy = questions(tmp_path / "easy.jsonl", {"sure": 60, "poor": 50}, right=("sure",))
    assert add_held_out(QaTask(), bundle, easy)[1]["null_score_diff_threshold"] == 0


def test_a_threshold_needs_questions_of_both_kinds(bundle: Bundle, tmp_path: Path) -> None:
    rows = questions(tmp_path / "rows.jsonl", {"sure": 60, "weak": 49}, right=("sure",))
    with pytest.raises(DataError, match=r"60 questions with an answer and 49 without"):
        add_held_out(QaTask(), bundle, rows)
