"""Two models side by side on the same rows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx")

from click.testing import CliRunner

from nlplug.cli.compare import compare as command
from nlplug.data.formats import DataFile
from nlplug.errors import DataError, OptionError
from nlplug.evaluation.agreement import agreement
from nlplug.evaluation.compare import Comparison, compare, document, mcnemar
from nlplug.families.sequence_classification import SequenceClassificationTask
from nlplug.families.sequence_classification.scoring import ClassificationEvaluation
from nlplug.models.bundle import Bundle
from nlplug.pipelines import Pipeline
from nlplug.task import Localized
from nlplug.testing import tiny_text_classifier

ROWS = ["good film,positive", "bad film,negative", "dull,negative", "so good,positive"]


class ToyTask(SequenceClassificationTask):
    name = "toy"
    title: Localized = "Toy"
    description: Localized = "Good or bad?"


@pytest.fixture(scope="module")
def right(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return tiny_text_classifier(tmp_path_factory.mktemp("models") / "right")


@pytest.fixture(scope="module")
def wrong(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """The same model with its two labels exchanged."""
    bundle = tiny_text_classifier(tmp_path_factory.mktemp("models") / "wrong")
    return renamed(bundle, bundle.labels[::-1])


def renamed(bundle: Bundle, names: Sequence[str]) -> Bundle:
    """The model with other labels."""
    file = bundle.path / "config.json"
    config = json.loads(file.read_text())
    config["id2label"] = dict(enumerate(names))
    config["label2id"] = {name: index for index, name in enumerate(names)}
    file.write_text(json.dumps(config))
    (bundle.path / "nlplug.json").unlink(missing_ok=True)
    return Bundle.open(bundle.path)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "dev.csv"
    path.write_text("\n".join(["text,label", *ROWS * 3]), encoding="utf-8")
    return path


@pytest.fixture
def result(right: Bundle, wrong: Bundle, data: Path) -> Comparison:
    with (
        Pipeline(ToyTask(), right, threads=1) as first,
        Pipeline(ToyTask(), wrong, threads=1) as second,
    ):
        return compare(first, second, data)


def test_a_model_that_is_always_wrong_loses_everything(result: Comparison) -> None:
    assert [side.score for side in result.sides] == [1.0, 0.0]
    assert (result.gain.mean, result.gain.low, result.gain.high) == (-1.0, -1.0, -1.0)
    assert (result.agreement, result.different, result.only) == (0.0, 12, (12, 0))
    assert result.mcnemar == pytest.approx(2 / 2**12)
    assert "right@fp32 is better" in document(result).text()


def test_different_answers_are_shown_with_their_rows_most_confident_first(
    result: Comparison,
) -> None:
    first = result.disagreements[0]
    assert (first.truth, *first.answers) == ("positive", "positive", "negative")
    assert first.input in {"good film", "so good"}
    assert first.source.split(":")[0].endswith("dev.csv")
    scores = [max(item.scores) for item in result.disagreements]
    assert scores == sorted(scores, reverse=True)


def test_a_model_agrees_with_itself(right: Bundle, data: Path) -> None:
    with (
        Pipeline(ToyTask(), right, threads=1) as first,
        Pipeline(ToyTask(), right, threads=1) as second,
    ):
        result = compare(first, second, data)
    assert (result.agreement, result.mcnemar, result.disagreements) == (1.0, 1.0, [])
    assert result.gain.low < 0 < result.gain.high
    assert "no difference that these rows can show" in document(result).text()


def test_mcnemar_is_the_exact_binomial_test() -> None:
    # scipy.stats.binomtest(3, 13).pvalue and binomtest(5, 10).pvalue
    assert mcnemar(3, 10) == pytest.approx(0.09228515625)
    assert mcnemar(10, 3) == mcnemar(3, 10)
    assert mcnemar(5, 5) == 1.0
    assert mcnemar(0, 0) == 1.0


def test_models_of_different_tasks_are_refused(right: Bundle, data: Path) -> None:
    class Other(ToyTask):
        name = "other"

    with (
        Pipeline(ToyTask(), right, threads=1) as first,
        Pipeline(Other(), right, threads=1) as second,
        pytest.raises(OptionError, match="different tasks, 'toy' and 'other'"),
    ):
        compare(first, second, data)


def test_the_model_that_lacks_a_label_is_named(right: Bundle, data: Path, tmp_path: Path) -> None:
    other = renamed(tiny_text_classifier(tmp_path / "other"), ["negative", "fine"])
    with (
        Pipeline(ToyTask(), right, threads=1) as first,
        Pipeline(ToyTask(), other, threads=1) as second,
        pytest.raises(
            DataError, match=r"^other@fp32 .*dev\.csv:2: unknown label 'positive'"
        ) as caught,
    ):
        compare(first, second, data)
    hint = str(caught.value.hint)
    assert "right@fp32 alone has 'positive'; other@fp32 alone has 'fine'." in hint
    data.write_text("text,label\ngood film,neutral\n")
    with (
        Pipeline(ToyTask(), right, threads=1) as first,
        Pipeline(ToyTask(), right, threads=1) as second,
        pytest.raises(DataError, match=r"dev\.csv:2: unknown label 'neutral'") as again,
    ):
        compare(first, second, data)
    assert "alone has" not in str(again.value.hint)


def test_the_id_of_a_label_that_means_another_one_to_each_model_is_refused(
    right: Bundle, wrong: Bundle, data: Path
) -> None:
    data.write_text("text,label\ngood film,1\nbad film,0\n")
    with (
        Pipeline(ToyTask(), right, threads=1) as first,
        Pipeline(ToyTask(), wrong, threads=1) as second,
        pytest.raises(
            DataError,
            match=r"dev\.csv:2: .* 'positive' to right@fp32, and 'negative' to wrong@fp32",
        ),
    ):
        compare(first, second, data)


def test_models_of_one_name_are_told_apart_by_their_folders(
    right: Bundle, data: Path, tmp_path: Path
) -> None:
    other = tiny_text_classifier(tmp_path / "right")
    with (
        Pipeline(ToyTask(), right, threads=1) as first,
        Pipeline(ToyTask(), other, threads=1) as second,
    ):
        names = [side.name for side in compare(first, second, data).sides]
        pair = [side.name for side in agreement(first, second, DataFile(data)).sides]
    assert names == pair == [f"{right.path}@fp32", f"{other.path}@fp32"]


def test_one_set_of_labels_is_one_answer_whatever_its_order() -> None:
    scoring = ClassificationEvaluation(["b", "a"])
    answers = [
        [{"label": "b", "score": 0.9}, {"label": "a", "score": 0.8}],
        [{"label": "a", "score": 0.9}, {"label": "b", "score": 0.8}],
    ]
    scoring.report(answers, [(0, 1), (0, 1)])
    assert [scoring.decision(answer) for answer in answers] == ["a, b", "a, b"]
    assert scoring.truth((0, 1)) == "a, b"


def test_the_command_compares_models_and_precisions(
    right: Bundle, wrong: Bundle, data: Path, tmp_path: Path
) -> None:
    options = ["--task", "sentiment", "--data", str(data)]
    output = tmp_path / "report"
    words = [f"{right.path}@fp32", str(wrong.path), *options, "--format", "json"]
    done = CliRunner().invoke(command, [*words, "--output", str(output)], catch_exceptions=False)
    values = json.loads(done.stdout)
    assert [side["name"] for side in values["sides"]] == ["right@fp32", "wrong@fp32"]
    assert values["gain"]["mean"] == -1.0
    assert "<h1>right@fp32 and wrong@fp32" in (output / "report.html").read_text(encoding="utf-8")
    done = CliRunner().invoke(command, [f"{right.path}@int9", str(wrong.path), *options])
    assert isinstance(done.exception, OptionError)
    assert "int9" in str(done.exception)
    done = CliRunner().invoke(command, [*words, "--output", str(data)])
    assert done.stdout == ""
    assert "is a file, not a folder" in str(done.exception)


def test_the_mean_interval_of_scores_that_are_not_right_or_wrong_is_a_bootstrap() -> None:
    from nlplug.evaluation.metrics import mean_interval, wilson_interval

    values = np.random.default_rng(0).normal(0.5, 0.1, 400)
    low, high = mean_interval(values)
    half = 1.96 * values.std() / 20
    assert low == pytest.approx(values.mean() - half, abs=0.002)
    assert high == pytest.approx(values.mean() + half, abs=0.002)
    assert mean_interval(np.array([1.0, 0.0, 1.0, 1.0])) == wilson_interval(3, 4)
