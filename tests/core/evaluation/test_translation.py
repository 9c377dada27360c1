"""chrF and BLEU of a pipeline's answers, as sacrebleu counts them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nlplug import Pipeline
from nlplug.errors import DataError, OptionError
from nlplug.evaluation.report import as_text
from nlplug.evaluation.run import evaluate
from nlplug.families.seq2seq import Seq2SeqTask
from nlplug.families.seq2seq.scoring import TranslationEvaluation, text_of
from nlplug.task import Localized
from nlplug.testing import tiny_translator
from nlplug_translation.options import TranslationOptions

pytestmark = pytest.mark.train


class Words(Seq2SeqTask):
    """What a plugin would register."""

    name = "words"
    title: Localized = "Words"
    description: Localized = "Other words"
    answer_key = "other_words"


@pytest.fixture(scope="module")
def pipe(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    words = {"red": "rouge", "house": "maison", "small": "petite", "the": "la"}
    bundle = tiny_translator(tmp_path_factory.mktemp("words"), words)
    with Pipeline(Words(), bundle, threads=1) as made:
        yield made


def rows_file(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_answers_that_are_right_have_all_points(pipe: Pipeline, tmp_path: Path) -> None:
    right = pipe("the small red house")[0]["other_words"]
    file = rows_file(tmp_path / "a.jsonl", {"source": "the small red house", "target": right})
    result = evaluate(pipe, file)
    assert result.report["chrf"] == pytest.approx(100)
    assert result.report["bleu"] == pytest.approx(100)
    assert result.report["decoding"] == "greedy"
    assert "version" in result.report["chrf_signature"]
    assert "chrf" in as_text(result)


def test_the_numbers_are_those_of_sacrebleu(pipe: Pipeline, tmp_path: Path) -> None:
    import sacrebleu

    sources = ["the house", "the small house", "red"]
    targets = ["une maison", "la petite maison rouge", "rouge"]
    file = rows_file(
        tmp_path / "a.jsonl",
        *({"translation": {"en": s, "fr": t}} for s, t in zip(sources, targets, strict=True)),
    )
    report = evaluate(pipe, file).report
    texts = [answer["other_words"] for answer in pipe(sources)]
    assert report["chrf"] == pytest.approx(sacrebleu.corpus_chrf(texts, [targets]).score)
    assert report["bleu"] == pytest.approx(sacrebleu.corpus_bleu(texts, [targets]).score)


def test_each_row_counts_by_its_own_chrf() -> None:
    scores = TranslationEvaluation([]).per_example(
        [[{"translation_text": "la maison"}], {"translation_text": "x"}], ["la maison", "rouge"]
    )
    assert scores.tolist() == pytest.approx([1.0, 0.0])


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ("a", "a"),
        ({"summary_text": "a"}, "a"),
        ([{"generated_text": "a"}, {"generated_text": "b"}], "a"),
        ([], ""),
    ],
)
def test_the_text_of_an_answer(answer: Any, text: str) -> None:
    assert text_of(answer) == text


def test_languages_and_columns_can_be_named(tmp_path: Path) -> None:
    file = rows_file(
        tmp_path / "a.jsonl", {"translation": {"en": "red", "de": "rot", "fr": "rouge"}}
    )
    [sample] = TranslationEvaluation([]).samples(file, label="fr")
    assert (sample.input, sample.target) == ({"text": "red"}, "rouge")
    other = rows_file(tmp_path / "b.jsonl", {"article": "a long text", "summary": "text"})
    [sample] = TranslationEvaluation([]).samples(other, text="article", label="summary")
    assert (sample.input, sample.target) == ({"text": "a long text"}, "text")
    evaluation = TranslationEvaluation([])
    evaluation.configure(TranslationOptions(src_lang="de", tgt_lang="fr"))
    [sample] = evaluation.samples(file)
    assert (sample.input, sample.target) == ({"text": "rot"}, "rouge")
    plain = rows_file(tmp_path / "c.jsonl", {"source": "red", "target": "rouge"})
    [sample] = evaluation.samples(plain)
    assert (sample.input, sample.target) == ({"text": "red"}, "rouge")
    with pytest.raises(OptionError, match="no column 'words'"):
        list(TranslationEvaluation([]).samples(file, words="en"))
    with pytest.raises(DataError, match=r"b\.jsonl:1: there is no 'target'"):
        list(TranslationEvaluation([]).samples(other))
