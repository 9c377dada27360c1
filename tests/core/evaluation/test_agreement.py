"""Two models on rows without right answers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from nlplug import pipeline
from nlplug.cli.compare import compare as command
from nlplug.data import DataFile
from nlplug.errors import DataError, InputError, OptionError
from nlplug.evaluation.agreement import agreement, document
from nlplug.testing import tiny_encoder, tiny_text_classifier, tiny_translator

WORDS = {"good": (3.0, 0.0), "bad": (0.0, 3.0), "odd": (1.0, 0.0)}


def file(folder: Path, *lines: str) -> DataFile:
    path = folder / "inputs.csv"
    path.write_text("\n".join(lines), "utf-8")
    return DataFile(path)


def test_different_first_labels_are_disagreements_most_confident_first(tmp_path: Path) -> None:
    turned = WORDS | {"odd": (0.0, 1.0), "good": (0.0, 3.0)}
    models = [
        pipeline("classification", tiny_text_classifier(tmp_path / name, words).path)
        for name, words in (("one", WORDS), ("two", turned))
    ]
    found = agreement(*models, file(tmp_path, "text,note", "odd,x", "bad,x", "good,x"))
    assert (found.rows, found.different) == (3, 2)
    assert found.agreement == pytest.approx(1 / 3)
    assert [one.source for one in found.disagreements] == ["inputs.csv:4", "inputs.csv:2"]
    labels = models[0].bundle.labels
    assert found.disagreements[0].answers == (labels[0], labels[1])
    assert found.disagreements[0].input == "good"
    assert [side.name for side in found.sides] == ["one@fp32", "two@fp32"]
    assert agreement(*models, file(tmp_path, "text", "odd", "bad"), limit=1).rows == 1


def test_the_command_reports_agreement_of_rows_without_right_answers(tmp_path: Path) -> None:
    for name, words in (("one", WORDS), ("two", WORDS | {"odd": (0.0, 1.0)})):
        tiny_text_classifier(tmp_path / name, words)
    data = file(tmp_path, "review", "good", "odd", "bad").path
    models = [str(tmp_path / "one"), str(tmp_path / "two"), "--task", "classification"]
    given = [*models, "--data", str(data), "--text-column", "review"]
    done = CliRunner().invoke(command, [*given, "--unlabelled", "--output", str(tmp_path / "out")])
    assert done.exception is None
    assert "the same answer to 66.67% of 3 rows; 1 answer differs" in done.stdout
    assert "inputs.csv:3" in (tmp_path / "out" / "report.html").read_text("utf-8")
    refused = CliRunner().invoke(command, [*given, "--unlabelled", "--label-column", "x"])
    assert isinstance(refused.exception, OptionError)


def test_texts_that_end_at_a_limit_are_told_once_and_not_of_the_first_call(
    tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    words = {"the": "le", "cat": "chat", "sleeps": "dort"}
    model = pipeline("translation", tiny_translator(tmp_path / "one", words).path)
    data = file(tmp_path, "text", "the cat sleeps", "the cat", "the cat sleeps")
    found = agreement(model, model, data, options={"max_new_tokens": 2})
    told = "3 texts ended at max_new_tokens (2)."
    assert all(side.noticed.messages[0].startswith(told) for side in found.sides)
    assert document(found).text().count(told) == 1
    assert not [one for one in recwarn if "max_new_tokens" in str(one.message)]


def test_answers_without_metrics_are_compared_without_right_answers(tmp_path: Path) -> None:
    tiny_encoder(tmp_path / "one", max_length=8)
    data = file(tmp_path, "text", "good").path
    given = [str(tmp_path / "one")] * 2 + ["--task", "feature-extraction", "--data", str(data)]
    refused = CliRunner().invoke(command, given)
    assert "--unlabelled" in str(refused.exception)
    done = CliRunner().invoke(command, [*given, "--unlabelled", "--format", "json"])
    assert json.loads(done.stdout)["agreement"] == 1.0


def test_options_of_the_task_are_given_to_both_models(tmp_path: Path) -> None:
    # Each word of a pair counts for contradiction and entailment.
    nli = {"sport": (-3.0, 3.0), "music": (3.0, -3.0)}
    for name, words in (("one", nli), ("two", {"music": (-3.0, 3.0)})):
        tiny_text_classifier(
            tmp_path / name, words, labels=("contradiction", "entailment"), max_length=16
        )
    data = file(tmp_path, "text,label", "match,sport").path
    models = [str(tmp_path / "one"), str(tmp_path / "two"), "--task", "zero-shot-classification"]
    given = [*models, "--data", str(data), "--unlabelled", "--format", "json"]

    def run(*options: str) -> Result:
        return CliRunner().invoke(command, [*given, *options])

    done = run("--option", "candidate-labels=sport,music", "--option", "multi_label=true")
    [found] = json.loads(done.stdout)["disagreements"]
    assert found["answers"] == ["sport", "music"]
    one_by_one = run("--option", "candidate_labels=music", "--option", "candidate_labels=sport")
    assert json.loads(one_by_one.stdout)["disagreements"][0]["answers"] == ["sport", "music"]
    assert "candidate_labels" in str(run().exception)
    for options, told in (
        (["multi_label"], "--option is 'multi_label'"),
        (["multi_label=true", "multi_label=false"], "2 times"),
        (["nothing=1"], "no option 'nothing'"),
    ):
        failed = run(*(part for text in options for part in ("--option", text)))
        assert isinstance(failed.exception, OptionError)
        assert told in str(failed.exception)
    wrong = run("--option", "multi_label=perhaps")
    assert (wrong.exit_code, "'perhaps'" in wrong.output) == (2, True)


def test_what_cannot_be_compared_is_one_error(tmp_path: Path) -> None:
    one = pipeline("classification", tiny_text_classifier(tmp_path / "one", WORDS).path)
    with pytest.raises(OptionError, match="different tasks"):
        agreement(one, pipeline("ner"), file(tmp_path, "text", "good"))
    with pytest.raises(InputError, match="'text'"):
        agreement(one, one, file(tmp_path, "other", "good"))
    with pytest.raises(DataError):
        agreement(one, one, file(tmp_path, "text"))
