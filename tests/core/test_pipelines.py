"""A pipeline takes what users pass and gives the shapes of the Hugging Face task API."""

from __future__ import annotations

import asyncio
import copy
import pickle
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nlplug import NlplugError, Pipeline, errors, pipeline
from nlplug.data import DataRow
from nlplug.errors import BundleError, DataError, InputError, OptionError
from nlplug.families.sequence_classification import SequenceClassificationTask
from nlplug.inputs import InputRow
from nlplug.models.bundle import Bundle
from nlplug.models.manifest import Manifest, PrecisionRecord
from nlplug.models.writer import BundleWriter
from nlplug.results import answered_rows
from nlplug.testing import tiny_text_classifier


class Mood(SequenceClassificationTask):
    name = "mood"
    title = "Mood"
    description = "The mood of a text."


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return tiny_text_classifier(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def pipe(bundle: Bundle) -> Iterator[Pipeline]:
    with Pipeline(Mood(), bundle, threads=2) as pipe:
        yield pipe


def label(answer: Any) -> Any:
    """The labels of an answer of any shape, with the scores left out."""
    if isinstance(answer, list):
        return [label(entry) for entry in answer]
    return answer["label"]


@pytest.mark.parametrize(
    ("inputs", "options", "labels"),
    [
        ("good", {}, ["positive"]),
        ("good", {"top_k": 1}, ["positive"]),
        ("good", {"top_k": 2}, ["positive", "negative"]),
        ("good", {"top_k": None}, ["positive", "negative"]),
        (["good", "bad"], {}, ["positive", "negative"]),
        (["good", "bad"], {"top_k": 1}, [["positive"], ["negative"]]),
        (("good",), {"top_k": None}, [["positive", "negative"]]),
        ([], {}, []),
        ({"text": "bad"}, {}, ["negative"]),
    ],
)
def test_shapes_are_those_of_the_text_classification_pipeline(
    pipe: Pipeline, inputs: Any, options: dict[str, Any], labels: Any
) -> None:
    assert label(pipe(inputs, **options)) == labels


def test_top_k_set_while_making_the_pipeline_nests_a_single_answer(bundle: Bundle) -> None:
    """As transformers does, on which much code relies: ``pipe(text)[0]`` is the list of labels."""
    with Pipeline(Mood(), bundle, options={"top_k": None}) as pipe:
        assert label(pipe("good")) == [["positive", "negative"]]
        assert label(pipe(["good"])) == [["positive", "negative"]]
        assert label(pipe("good", top_k=1)) == ["positive"]


def test_an_input_may_come_as_keyword_arguments(pipe: Pipeline) -> None:
    assert pipe(text="good") == pipe("good")


def test_a_field_given_as_a_list_makes_as_many_inputs(pipe: Pipeline) -> None:
    assert pipe(text=["good", "bad"]) == pipe(["good", "bad"])
    assert pipe(text=[]) == []


def test_what_is_given_once_beside_a_list_is_in_all_inputs(pipe: Pipeline) -> None:
    pairs = [{"text": "good", "text_pair": pair} for pair in ("bad", "dull")]
    assert pipe(text="good", text_pair=["bad", "dull"]) == pipe(pairs)
    assert pipe("good", text_pair=["bad", "dull"]) == pipe(pairs)
    assert pipe(text=["good", "good"], text_pair=["bad", "dull"]) == pipe(pairs)


def test_lists_of_different_lengths_are_an_error(pipe: Pipeline) -> None:
    with pytest.raises(InputError, match="text 1, text_pair 2"):
        pipe(text=["good"], text_pair=["bad", "dull"])


def test_a_generator_is_answered_as_a_stream(pipe: Pipeline) -> None:
    answers = pipe(word for word in ("good", "bad"))
    assert isinstance(answers, Iterator)
    assert label(list(answers)) == ["positive", "negative"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("texts.txt", "good\nbad\n"),
        ("texts.csv", "id,text\n1,good\n2,bad\n"),
        ("texts.jsonl", '{"text": "good", "label": 1}\n{"text": "bad", "label": 0}\n'),
    ],
)
def test_a_file_is_answered_row_by_row(
    pipe: Pipeline, tmp_path: Path, name: str, content: str
) -> None:
    path = tmp_path / name
    path.write_text(content)
    assert label(list(pipe(path))) == ["positive", "negative"]


def test_a_file_without_the_text_column_is_an_error_with_its_line(
    pipe: Pipeline, tmp_path: Path
) -> None:
    path = tmp_path / "texts.csv"
    path.write_text("sentence\ngood\n")
    with pytest.raises(InputError, match=r"texts\.csv:2: .*sentence"):
        list(pipe(path))


def test_a_missing_file_is_an_error(pipe: Pipeline, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="none.jsonl"):
        list(pipe(tmp_path / "none.jsonl"))


def test_function_to_apply_none_gives_logits(pipe: Pipeline) -> None:
    [answer] = pipe("good", function_to_apply="none")
    assert answer["score"] == pytest.approx(4 / 3, rel=1e-6)


def test_sigmoid_scores_are_independent(pipe: Pipeline) -> None:
    answers = pipe("good", function_to_apply="sigmoid", top_k=None)
    assert sum(answer["score"] for answer in answers) == pytest.approx(1.0)
    assert answers[0]["score"] == pytest.approx(0.7914, abs=1e-4)


@pytest.mark.parametrize(
    ("config", "score"),
    [
        ({"problem_type": "multi_label_classification"}, 0.7914),
        ({"problem_type": "regression"}, 4 / 3),
    ],
)
def test_the_activation_follows_what_the_model_was_trained_for(
    tmp_path: Path, config: dict[str, str], score: float
) -> None:
    with Pipeline(Mood(), tiny_text_classifier(tmp_path, config=config)) as pipe:
        assert pipe("good")[0]["score"] == pytest.approx(score, abs=1e-4)


def test_a_long_text_is_judged_whole_unless_truncation_is_asked_for(pipe: Pipeline) -> None:
    text = "good " * 30 + "bad " * 200
    assert label(pipe(text)) == ["negative"]
    assert label(pipe(text, truncation=True)) == ["positive"]


@pytest.mark.parametrize("text", ["👍🏽", "مرحبا", "e\u0301", "\x00a", "word " * 200_000])
def test_odd_texts_are_answered(pipe: Pipeline, text: str) -> None:
    [answer] = pipe(text)
    assert 0.0 <= answer["score"] <= 1.0


@pytest.mark.parametrize(
    "text", ["", "   ", "\u3000\n", "\x00", "\u200b", "\ufeff\xad", "\u2800\u3164\ufe0f"]
)
def test_a_blank_text_is_refused(pipe: Pipeline, text: str) -> None:
    with pytest.raises(InputError, match="text is .*\n.*empty"):
        pipe(text)
    with pytest.raises(InputError, match="Input 1: .*text is"):
        pipe(["good", text])


def test_a_task_that_is_no_name_is_an_option_error() -> None:
    with pytest.raises(OptionError, match="task is an object of type int"):
        pipeline(5)  # type: ignore[arg-type] - what a caller without types may do


def test_a_lone_surrogate_is_an_input_error(pipe: Pipeline) -> None:
    with pytest.raises(InputError, match="surrogate"):
        pipe("\ud83d")


def test_a_wrong_option_is_found_before_anything_is_read(pipe: Pipeline) -> None:
    def never() -> Iterator[str]:
        raise AssertionError("the stream was read")
        yield ""

    with pytest.raises(OptionError, match="top_k is 0"):
        pipe.map(never(), top_k=0)


def test_async_calls_give_what_calls_give(pipe: Pipeline) -> None:
    async def both() -> tuple[Any, Any]:
        first, second = await asyncio.gather(pipe.acall("good"), pipe.acall(["bad"]))
        return first, second

    assert asyncio.run(both()) == (pipe("good"), pipe(["bad"]))


def test_an_async_stream_is_answered_as_it_comes(pipe: Pipeline) -> None:
    answered: list[Any] = []

    async def slow() -> AsyncIterator[str]:
        yield "good"
        while not answered:  # goes on only once the first answer is out
            await asyncio.sleep(0)
        yield "bad"

    async def collect() -> None:
        async for answer in pipe.amap(slow()):
            answered.append(label(answer))

    asyncio.run(asyncio.wait_for(collect(), timeout=30))
    assert answered == ["positive", "negative"]


def test_the_error_of_an_async_source_is_raised(pipe: Pipeline) -> None:
    async def failing() -> AsyncIterator[str]:
        yield "good"
        raise RuntimeError("the source broke")

    async def collect() -> list[Any]:
        return [answer async for answer in pipe.amap(failing())]

    with pytest.raises(RuntimeError, match="the source broke"):
        asyncio.run(collect())


def test_a_precision_that_the_bundle_lacks_is_an_error(bundle: Bundle) -> None:
    with pytest.raises(OptionError, match="int8"):
        Pipeline(Mood(), bundle, precision="int8")


@pytest.mark.parametrize(("measured", "expected"), [(True, "int8"), (False, "fp32")])
def test_auto_takes_int8_only_where_its_loss_was_measured(
    tmp_path: Path, measured: bool, expected: str
) -> None:
    tiny = tiny_text_classifier(tmp_path / "tiny")
    with BundleWriter(tmp_path / "bundle") as writer:
        shutil.copytree(tiny.path, writer.folder, dirs_exist_ok=True)
        shutil.copy(writer.folder / "onnx/model.onnx", writer.folder / "onnx/model_int8.onnx")
        parity = {"agreement": 1.0} if measured else {}
        writer.commit(
            Manifest(
                name="two",
                task="mood",
                precisions={
                    "fp32": PrecisionRecord(file="onnx/model.onnx"),
                    "int8": PrecisionRecord(file="onnx/model_int8.onnx", parity=parity),
                },
            )
        )
    with Pipeline(Mood(), Bundle.open(tmp_path / "bundle")) as pipe:
        assert pipe.precision == expected


def test_labels_that_do_not_fit_the_weights_are_an_error(tmp_path: Path) -> None:
    bundle = tiny_text_classifier(tmp_path, config={"id2label": {"0": "only"}})
    with pytest.raises(BundleError, match="2 logits.* 1 labels"):
        Pipeline(Mood(), bundle)


def test_a_bare_encoder_is_refused_with_the_outputs_it_has(tmp_path: Path) -> None:
    bundle = tiny_text_classifier(tmp_path, output="last_hidden_state")
    with pytest.raises(BundleError, match="last_hidden_state"):
        Pipeline(Mood(), bundle)


def test_it_says_what_it_runs(pipe: Pipeline) -> None:
    assert "task='mood'" in repr(pipe)
    assert "precision='fp32', device='cpu'" in repr(pipe)


def test_rows_keep_their_answers_in_a_long_stream(pipe: Pipeline) -> None:
    rows = [{"text": "good" if i % 3 else "bad"} for i in range(10_000)]
    inputs = (InputRow(row, DataRow(row, Path("a"), i)) for i, row in enumerate(rows))
    pairs = [(one.values, answer) for one, answer in answered_rows(pipe.map, inputs)]
    assert [row for row, _ in pairs] == rows
    assert all((row["text"] == "good") == (a["label"] == "positive") for row, a in pairs)


@pytest.mark.parametrize(
    ("inputs", "fields"),
    [("good", {"text": "bad"}), ({"text": "good"}, {"text": "bad"}), (["good"], {"text": "bad"})],
)
def test_a_field_that_is_given_twice_is_refused(
    pipe: Pipeline, inputs: Any, fields: dict[str, str]
) -> None:
    with pytest.raises(InputError, match="The field 'text' is given twice"):
        pipe(inputs, **fields)


@pytest.mark.parametrize("inputs", [b"good", bytearray(b"good"), np.array("good"), {"good"}])
def test_bytes_sets_and_arrays_without_axes_are_no_inputs(pipe: Pipeline, inputs: Any) -> None:
    with pytest.raises(InputError, match="cannot take .*good.* as an input"):
        pipe(inputs)


@pytest.mark.parametrize("error", [errors.InputError, errors.GateRefused, errors.DiskFull])
def test_errors_can_be_pickled(error: type[NlplugError]) -> None:
    made = error("It broke.", hint="Mend it.")
    stopped = errors.TrainingInterrupted("Saved.", hint="Continue.", signal=2)
    for one in (made, stopped):
        for copied in (copy.copy(one), pickle.loads(pickle.dumps(one))):
            assert (type(copied), str(copied), copied.exit_code) == (
                type(one),
                str(one),
                one.exit_code,
            )
