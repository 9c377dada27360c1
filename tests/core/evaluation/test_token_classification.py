"""Entity scores equal seqeval's; answers in groups or a word each mean the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nlplug.data.tags import Span, spans_of_tags, strict_spans
from nlplug.errors import DataError, OptionError
from nlplug.evaluation.document import plain_table
from nlplug.export.preflight.answers import check_labels
from nlplug.families.token_classification.entities import count_spans, entity_scores, f1_shares
from nlplug.families.token_classification.scoring import TokenClassificationEvaluation, answer_spans

SEQEVAL = json.loads(Path(__file__).with_name("seqeval.json").read_text())["cases"]
LABELS = ["O", "B-LOC", "I-LOC", "B-PER", "I-PER"]
TEXT = "Ann Lee left New York"


@pytest.fixture
def evaluation() -> TokenClassificationEvaluation:
    return TokenClassificationEvaluation(LABELS)


def pairs_of(case: dict[str, Any]) -> list[tuple[list[Span], list[Span]]]:
    return [
        (spans_of_tags(given.split()), spans_of_tags(true.split()))
        for given, true in zip(case["given"], case["true"], strict=True)
    ]


def target(evaluation: TokenClassificationEvaluation, path: Path, *rows: dict[str, Any]) -> Any:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return [sample.target for sample in evaluation.samples(path)]


def group(start: int, end: int, label: str) -> dict[str, Any]:
    return {
        "entity_group": label,
        "start": start,
        "end": end,
        "word": TEXT[start:end],
        "score": 0.9,
    }


def word(start: int, end: int, tag: str) -> dict[str, Any]:
    return {"entity": tag, "start": start, "end": end, "word": TEXT[start:end], "score": 0.9}


@pytest.mark.parametrize("case", SEQEVAL)
def test_entities_and_scores_equal_seqevals(case: dict[str, Any]) -> None:
    entities = [
        [[first, last - 1, label] for first, last, label in spans_of_tags(true.split())]
        for true in case["true"]
    ]
    assert entities == case["entities"]
    scores = entity_scores(pairs_of(case))
    report = dict(case["report"])
    for average in ("micro", "macro", "weighted"):
        wanted = report.pop(f"{average} avg")
        for name in ("precision", "recall", "f1"):
            key = "f1-score" if name == "f1" else name
            assert scores[average][name] == pytest.approx(wanted[key], abs=1e-9)
    assert scores["labels"].keys() == report.keys()
    for label, wanted in report.items():
        assert scores["labels"][label]["f1"] == pytest.approx(wanted["f1-score"], abs=1e-9)
        assert scores["labels"][label]["support"] == wanted["support"]


@pytest.mark.parametrize("case", [case for case in SEQEVAL if "strict" in case])
def test_scores_of_the_strict_mode_equal_seqevals(case: dict[str, Any]) -> None:
    pairs = [
        (strict_spans(given.split()), strict_spans(true.split()))
        for given, true in zip(case["given"], case["true"], strict=True)
    ]
    scores = entity_scores(pairs)
    report = dict(case["strict"])
    for average in ("micro", "macro", "weighted"):
        wanted = report.pop(f"{average} avg")
        if average == "micro" or scores["labels"].keys() == case["strict"].keys():
            assert scores[average]["f1"] == pytest.approx(wanted["f1-score"], abs=1e-9)
    for label, values in scores["labels"].items():
        assert values["f1"] == pytest.approx(report[label]["f1-score"], abs=1e-9)
        assert values["support"] == report[label]["support"]


@pytest.mark.parametrize("case", SEQEVAL[:3])
def test_shares_of_rows_average_to_f1_and_vary_as_it_does(case: dict[str, Any]) -> None:
    pairs = pairs_of(case) * 20
    counts = np.array([count_spans(*pair) for pair in pairs])
    shares = f1_shares([tuple(row) for row in counts.tolist()])
    assert shares.mean() == pytest.approx(entity_scores(pairs)["micro"]["f1"])
    random = np.random.default_rng(0)
    drawn = counts[random.integers(0, len(counts), (2000, len(counts)))].sum(axis=1)
    resampled = 2 * drawn[:, 0] / (drawn[:, 1] + drawn[:, 2])
    assert shares.std() / len(shares) ** 0.5 == pytest.approx(resampled.std(), rel=0.1)


def test_rows_without_any_entity_have_no_share() -> None:
    assert f1_shares([(0, 0, 0), (0, 0, 0)]).tolist() == [0.0, 0.0]


def test_groups_and_one_tag_a_word_are_the_same_answer() -> None:
    groups = [group(0, 7, "PER"), group(8, 12, "O"), group(13, 21, "LOC")]
    words = [
        word(0, 3, "B-PER"),
        word(4, 7, "I-PER"),
        word(8, 12, "O"),
        word(13, 16, "B-LOC"),
        word(17, 21, "I-LOC"),
    ]
    assert answer_spans(groups) == answer_spans(words) == [(0, 7, "PER"), (13, 21, "LOC")]
    assert answer_spans([]) == []


def test_a_report_counts_by_type_and_in_all(
    evaluation: TokenClassificationEvaluation, tmp_path: Path
) -> None:
    tokens = {"tokens": TEXT.split(), "tags": ["B-PER", "I-PER", "O", "B-LOC", "I-LOC"]}
    spans = {"text": TEXT, "entities": [{"start": 0, "end": 7, "label": "PER"}]}
    targets = target(evaluation, tmp_path / "dev.jsonl", tokens, spans)
    answers = [[group(0, 7, "PER"), group(17, 21, "LOC")], [group(0, 7, "PER")]]
    report = evaluation.report(answers, targets)
    assert (report["rows"], report["entities"], report["rows_right"]) == (2, 3, 0.5)
    assert report["f1"] == report["micro"]["f1"] == pytest.approx(2 * 2 / (3 + 3))
    assert report["labels"]["LOC"]["f1"] == 0
    assert report["labels"]["PER"] == {"precision": 1, "recall": 1, "f1": 1, "support": 2}
    assert evaluation.per_example(answers, targets).mean() == pytest.approx(report["f1"])
    totals, by_label, _ = map(plain_table, evaluation.tables(report))
    assert "F1, macro" in totals
    assert by_label.splitlines()[-1].split() == ["PER", "1.0000", "1.0000", "1.0000", "2"]


def test_rows_of_tokens_are_also_scored_by_the_tags_of_their_words(
    evaluation: TokenClassificationEvaluation, tmp_path: Path
) -> None:
    path = tmp_path / "dev.jsonl"
    row = {"tokens": TEXT.split(), "tags": ["B-PER", "I-PER", "O", "B-LOC", "I-LOC"]}
    path.write_text(json.dumps(row) + "\n")
    [sample] = evaluation.samples(path)
    assert sample.input == {"words": TEXT.split()}

    tags = ["B-PER", "I-PER", "O", "I-LOC", "I-LOC"]
    report = evaluation.report([{"answer": [group(0, 7, "PER")], "tags": tags}], [sample.target])
    assert report["f1"] == pytest.approx(2 / 3)
    assert report["f1_by_word"] == report["by_word"]["micro"]["f1"] == 1
    # By IOB2 the place does not begin, so it is not found.
    assert report["f1_by_word_strict"] == pytest.approx(2 / 3)
    assert report["by_word_strict"]["labels"]["LOC"]["recall"] == 0
    assert "F1 by word, strict IOB2" in plain_table(evaluation.tables(report)[0])


def test_swapped_types_are_told_by_the_tags_of_words(
    evaluation: TokenClassificationEvaluation, tmp_path: Path
) -> None:
    row = {"tokens": TEXT.split(), "tags": ["B-PER", "I-PER", "O", "B-LOC", "I-LOC"]}
    path = tmp_path / "dev.jsonl"
    path.write_text(f"{json.dumps(row)}\n" * 20)
    targets = [sample.target for sample in evaluation.samples(path)]
    swapped = {"tags": ["B-LOC", "I-LOC", "O", "B-PER", "I-PER"], "answer": []}
    (found,) = check_labels(evaluation, [swapped] * 20, targets)
    assert "20.0% of 100 answers are right, and 100.0% would be if 'B-LOC' means" in found.message
    assert check_labels(evaluation, [{**swapped, "tags": row["tags"]}] * 20, targets) == []


def test_types_that_a_set_did_not_look_for_are_no_mistake(
    evaluation: TokenClassificationEvaluation, tmp_path: Path
) -> None:
    row = {"text": TEXT, "spans": [[0, 7, "PER"]], "label_set": ["PER"]}
    [found] = target(evaluation, tmp_path / "dev.jsonl", row)
    assert evaluation.report([[group(0, 7, "PER"), group(13, 21, "LOC")]], [found])["f1"] == 1


def test_words_are_spans_where_labels_are_of_no_scheme(tmp_path: Path) -> None:
    evaluation = TokenClassificationEvaluation(["NOUN", "VERB"])
    rows = {"tokens": ["dogs", "bark"], "tags": ["NOUN", "VERB"]}
    targets = target(evaluation, tmp_path / "dev.jsonl", rows)
    answer = [
        {"entity": "NOUN", "start": 0, "end": 4},
        {"entity": "NOUN", "start": 5, "end": 9},
    ]
    assert evaluation.report([answer], targets)["f1"] == 0.5


def test_a_label_the_model_has_not_is_named_with_its_line(
    evaluation: TokenClassificationEvaluation, tmp_path: Path
) -> None:
    path = tmp_path / "dev.conll"
    path.write_text("Ann B-PER\n\nMonday B-DATE\n")
    with pytest.raises(DataError) as caught:
        list(evaluation.samples(path))
    assert caught.value.message == f"{path}:3: unknown label 'DATE'."
    assert caught.value.hint == "The model's labels are 'LOC', 'PER'."


def test_columns_can_be_named(evaluation: TokenClassificationEvaluation, tmp_path: Path) -> None:
    path = tmp_path / "dev.jsonl"
    path.write_text(json.dumps({"body": "in Rome", "marks": [[3, 7, "LOC"]]}))
    [sample] = evaluation.samples(path, text="body", label="marks")
    assert sample.input == {"text": "in Rome"}
    assert sample.target.spans == ((3, 7, "LOC"),)
    with pytest.raises(OptionError, match="no column 'question'"):
        list(evaluation.samples(path, question="q"))
