"""The fastest settings of a model on this machine."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("onnx")

import onnx
from click.testing import CliRunner

from nlplug.cli.tune import tune as command
from nlplug.errors import OptionError
from nlplug.evaluation.tune import document, tune
from nlplug.families.one_pass import GraphRunner
from nlplug.families.sequence_classification import SequenceClassificationTask
from nlplug.models.bundle import Bundle
from nlplug.models.tuned import Tuned, forget, remember, tuned_for
from nlplug.pipelines import Pipeline
from nlplug.task import Example, Localized
from nlplug.testing import tiny_text_classifier

ROWS = [
    "text,label",
    "good film,positive",
    "bad film,negative",
    "dull,negative",
    "so good,positive",
]


class ToyTask(SequenceClassificationTask):
    name = "toy"
    title: Localized = "Toy"
    description: Localized = "Good or bad?"
    examples = (Example({"text": "a good film"}),)


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bundle:
    monkeypatch.setenv("NLPLUG_CACHE", str(tmp_path / "cache"))
    return tiny_text_classifier(tmp_path / "toy")


@pytest.fixture
def with_wrong_precision(bundle: Bundle) -> Bundle:
    """A bundle with a second precision whose answers are the opposite of the first."""
    graph = bundle.onnx_file("fp32")
    model = onnx.load(graph)
    (last,) = (node for node in model.graph.node if "logits" in node.output)
    last.output[0] = "turned"
    model.graph.node.append(onnx.helper.make_node("Neg", ["turned"], ["logits"]))
    onnx.save(model, graph.with_name("model_int8.onnx"))
    (bundle.path / "nlplug.json").unlink(missing_ok=True)
    return Bundle.open(bundle.path)


def runner_of(pipe: Pipeline) -> Any:
    runner = pipe._runner
    assert isinstance(runner, GraphRunner)
    return runner


def test_a_precision_that_answers_wrongly_is_never_chosen(
    with_wrong_precision: Bundle, tmp_path: Path
) -> None:
    data = tmp_path / "rows.csv"
    data.write_text("\n".join([*ROWS, *ROWS[1:] * 4]))
    result = tune(ToyTask(), with_wrong_precision, data, seconds=0.2, threads=1)
    assert {trial.precision for trial in result.trials} == {"fp32", "int8"}
    for trial in result.trials:
        assert trial.holds == (trial.precision == "fp32")
        assert trial.loss == (0 if trial.precision == "fp32" else 1)
    assert result.best.precision == "fp32"
    assert "points lost" in document(result).text()


def test_the_usual_precision_is_left_where_it_answers_wrongly(
    with_wrong_precision: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the accurate one is not faster."""
    monkeypatch.setattr("nlplug.evaluation.tune.preferred_precision", lambda *_: "int8")
    monkeypatch.setattr("nlplug.evaluation.tune._LEAST_GAIN", 1000.0)
    data = tmp_path / "rows.csv"
    data.write_text("\n".join([*ROWS, *ROWS[1:] * 4]))
    assert tune(ToyTask(), with_wrong_precision, data, seconds=0.2).best.precision == "fp32"


def test_without_rows_precisions_of_unknown_quality_are_not_measured(
    with_wrong_precision: Bundle,
) -> None:
    result = tune(ToyTask(), with_wrong_precision, seconds=0.2, threads=1)
    assert {trial.precision for trial in result.trials} == {"fp32"}
    assert {trial.token_budget for trial in result.trials} == {None, 192, 384, 768, 1536}


def test_what_was_found_is_used_where_nothing_is_given(with_wrong_precision: Bundle) -> None:
    remember(with_wrong_precision, Tuned("int8", "cpu", 77, 1.0, 1.0))
    with Pipeline(ToyTask(), with_wrong_precision) as pipe:
        assert (pipe.precision, runner_of(pipe).token_budget) == ("int8", 77)
    with Pipeline(ToyTask(), with_wrong_precision, precision="fp32") as pipe:
        assert (pipe.precision, runner_of(pipe).token_budget) == ("fp32", 384)


def test_other_files_need_another_measurement(bundle: Bundle) -> None:
    remember(bundle, Tuned("fp32", "cpu", 77, 1.0, 1.0))
    assert tuned_for(bundle) is not None
    os.utime(bundle.onnx_file("fp32"), (1, 1))
    assert tuned_for(bundle) is None


def test_a_damaged_record_is_ignored(bundle: Bundle) -> None:
    path = remember(bundle, Tuned("fp32", "cpu", 77, 1.0, 1.0))
    path.write_text("{")
    assert tuned_for(bundle) is None


def test_a_record_can_be_removed(bundle: Bundle) -> None:
    remember(bundle, Tuned("fp32", "cpu", 77, 1.0, 1.0))
    assert forget(bundle)
    assert tuned_for(bundle) is None
    assert not forget(bundle)


def test_a_task_without_examples_needs_rows(bundle: Bundle) -> None:
    class Bare(ToyTask):
        examples = ()

    with pytest.raises(OptionError, match="no examples") as caught:
        tune(Bare(), bundle, seconds=0.2)
    assert "--data" in (caught.value.hint or "")


@pytest.mark.parametrize("seconds", [0.0, float("nan"), float("inf")])
def test_time_that_is_no_time_is_refused(bundle: Bundle, seconds: float) -> None:
    with pytest.raises(OptionError, match="seconds is "):
        tune(ToyTask(), bundle, seconds=seconds)


def test_the_command_reports_and_removes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("nlplug_sentiment")
    monkeypatch.setenv("NLPLUG_CACHE", str(tmp_path / "cache"))
    done = CliRunner().invoke(command, ["sentiment-en", "--seconds", "1"])
    assert done.exit_code == 0, done.output
    assert "times the speed of the usual settings" in done.output
    assert len(list((tmp_path / "cache" / "tuned").iterdir())) == 1
    assert CliRunner().invoke(command, ["sentiment-en", "--forget"]).output == "Removed.\n"
    shutil.rmtree(tmp_path / "cache")
    again = CliRunner().invoke(command, ["sentiment-en", "--forget"])
    assert again.output == "sentiment-en was not tuned on this machine.\n"
