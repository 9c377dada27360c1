"""Scoring a bundle on a file, and what is shown of it."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

pytest.importorskip("onnx")

from click.testing import CliRunner

from nlplug.cli.evaluate import evaluate as command
from nlplug.errors import DataError, OptionError
from nlplug.evaluation import report
from nlplug.evaluation.base import Table
from nlplug.evaluation.document import plain_table
from nlplug.evaluation.run import EvaluationResult, evaluate
from nlplug.families.family import Family
from nlplug.families.sequence_classification import SequenceClassificationTask
from nlplug.models.bundle import Bundle
from nlplug.pipelines import Pipeline
from nlplug.task import Localized
from nlplug.testing import tiny_text_classifier


class ToyTask(SequenceClassificationTask):
    name = "toy"
    title: Localized = "Toy"
    description: Localized = "Good or bad?"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return tiny_text_classifier(tmp_path_factory.mktemp("models") / "toy-en")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five rows, of which the model has the last one wrong."""
    path = tmp_path_factory.mktemp("data") / "dev.csv"
    rows = ["good film,positive", "bad film,negative", "dull,0", "so good,1", "bad bad,positive"]
    path.write_text("\n".join(["text,label", *rows]), encoding="utf-8")
    return path


@pytest.fixture
def result(bundle: Bundle, data: Path) -> EvaluationResult:
    with Pipeline(ToyTask(), bundle, threads=1) as pipe:
        return evaluate(pipe, data)


def test_a_file_is_run_through_the_model_and_scored(result: EvaluationResult) -> None:
    assert (result.report["rows"], result.report["accuracy"]) == (5, 0.8)
    assert result.report["confusion"] == [[2, 0], [1, 2]]
    assert (result.model, result.precision, result.data) == ("toy-en", "fp32", "dev.csv")


def test_a_limit_takes_the_first_rows_and_progress_counts_them(bundle: Bundle, data: Path) -> None:
    seen: list[int] = []
    with Pipeline(ToyTask(), bundle, threads=1) as pipe:
        result = evaluate(pipe, data, limit=3, progress=seen.append)
    assert (result.report["rows"], seen) == (3, [1, 2, 3])


def test_a_file_without_rows_is_an_error(bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "empty.csv").write_text("text,label\n", encoding="utf-8")
    with (
        Pipeline(ToyTask(), bundle, threads=1) as pipe,
        pytest.raises(DataError, match=r"empty\.csv holds no rows"),
    ):
        evaluate(pipe, tmp_path / "empty.csv")


def test_a_task_without_an_evaluation_says_how_to_declare_one(bundle: Bundle, data: Path) -> None:
    class Unscored(ToyTask):
        family = Family("toys")

    with (
        Pipeline(Unscored(), bundle, threads=1) as pipe,
        pytest.raises(OptionError, match="'toys' of the task 'toy' has no scoring"),
    ):
        evaluate(pipe, data)


def test_the_text_shows_totals_labels_and_confusion(result: EvaluationResult) -> None:
    lines = report.as_text(result).splitlines()
    assert lines[0].startswith("toy: toy-en (fp32, cpu) on 5 rows of dev.csv")
    assert any(line.split() == ["accuracy", "0.8000"] for line in lines)
    assert any(line.split() == ["positive", "1.0000", "0.6667", "0.8000", "3"] for line in lines)
    assert any(line.split() == ["positive", "1", "2"] for line in lines)


def test_columns_line_up_where_characters_are_wide() -> None:
    lines = plain_table(Table("", ["", "n"], [["正面", 1], ["ab", 22]])).splitlines()
    assert lines == ["         n", "  正面   1", "  ab    22"]


def test_the_json_is_the_report_with_what_was_run(result: EvaluationResult) -> None:
    values = json.loads(report.as_json(result))
    assert (values["task"], values["model"], values["metric"]) == ("toy", "toy-en", "accuracy")
    assert values["accuracy"] == 0.8


def test_the_markdown_has_a_table_for_each_part(result: EvaluationResult) -> None:
    page = report.as_markdown(result)
    assert "# toy-en on dev.csv" in page
    assert "| negative | 0.6667 | 1.0000 | 0.8000 | 2 |" in page


def test_the_written_report_has_page_numbers_and_plots(
    result: EvaluationResult, tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib")
    page = report.write_report(result, tmp_path / "report")
    assert {path.name for path in page.parent.iterdir()} == {
        "confusion-matrix.svg",
        "reliability.svg",
        "report.html",
        "report.json",
        "report.md",
    }
    markdown = (page.parent / "report.md").read_text(encoding="utf-8")
    for name in ("confusion-matrix.svg", "reliability.svg"):
        assert f"]({name})" in markdown
        assert ElementTree.parse(page.parent / name).getroot().tag.endswith("}svg")
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


class Loads(HTMLParser):
    """Collects what a page would fetch, its ids, and the texts of its cells."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.ids: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name in ("src", "href", "xlink:href", "data", "action") and value:
                self.fetched += [] if value.startswith(("#", "data:")) else [value]
            if name == "id" and value:
                self.ids.append(value)


def test_the_page_is_one_file_that_needs_no_network(
    result: EvaluationResult, tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib")
    text = report.write_report(result, tmp_path / "report").read_text(encoding="utf-8")
    page = Loads()
    page.feed(text)
    assert page.fetched == []
    assert not re.search(r"url\(\s*['\"]?(?!#)|@import", text)
    assert page.tags.count("svg") == 2
    assert not {"script", "link", "iframe"} & set(page.tags)


def test_what_a_page_shows_of_the_data_is_escaped(bundle: Bundle, tmp_path: Path) -> None:
    data = tmp_path / "bad.csv"
    data.write_text(
        "text,label\n<script>alert(1)</script> bad | x &lt; y & z,positive\n", encoding="utf-8"
    )
    with Pipeline(ToyTask(), bundle, threads=1) as pipe:
        shown = report.document(evaluate(pipe, data))
    assert "<script>" not in shown.html()
    assert "&lt;script&gt;" in shown.html()
    assert "&lt;script>alert(1)&lt;/script> bad \\| x &amp;lt; y & z" in shown.markdown()


def test_the_score_stands_beside_its_interval_and_the_majority(result: EvaluationResult) -> None:
    low, high = result.interval
    assert (round(low, 3), round(high, 3)) == (0.376, 0.964)  # Wilson's interval of 4 of 5
    assert result.baselines == {"majority": 0.6}
    assert "baseline: majority 0.6000" in report.as_text(result)


def test_wrong_answers_are_listed_with_their_rows(result: EvaluationResult) -> None:
    (mistake,) = result.mistakes
    assert (mistake.input, mistake.truth, mistake.answer) == ("bad bad", "positive", "negative")
    assert mistake.source.endswith("dev.csv:6")
    assert 0.5 < mistake.score <= 1


def test_an_earlier_report_is_replaced_and_nothing_else(
    result: EvaluationResult, tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib")
    page = report.write_report(result, tmp_path / "report")
    page.write_text("old", encoding="utf-8")
    again = report.write_report(result, tmp_path / "report")
    assert "<h1>toy-en" in again.read_text("utf-8")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep", encoding="utf-8")
    with pytest.raises(OptionError, match="contains other files than a report"):
        report.write_report(result, tmp_path / "mine")
    assert (tmp_path / "mine" / "notes.txt").read_text(encoding="utf-8") == "keep"


def test_the_command_line_prints_the_same(bundle: Bundle, tmp_path: Path) -> None:
    """Under the installed sentiment task, whose labels the toy model has."""
    data = tmp_path / "dev.jsonl"
    data.write_text('{"satz": "good", "urteil": "positive"}\n', encoding="utf-8")
    arguments = [str(bundle.path), "--task", "sentiment", "--data", str(data), "--format", "json"]
    columns = ["--text-column", "satz", "--label-column", "urteil"]
    outcome = CliRunner().invoke(command, [*arguments, *columns], catch_exceptions=False)
    values = json.loads(outcome.stdout)
    assert (values["rows"], values["accuracy"], values["model"]) == (1, 1.0, "toy-en")
