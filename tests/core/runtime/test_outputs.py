"""The outputs of a graph are found by what it declares, and checked once per batch."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest

from nlplug.errors import BundleError
from nlplug.models.signature import Signature, TensorInfo
from nlplug.runtime.model import Row, TaskModel
from nlplug.runtime.outputs import GraphOutputs


class Model(TaskModel[Any, Any]):
    """Reads logits of a text."""

    output_rank: ClassVar[int | None] = 2
    output_width = 3

    def encode(self, inputs: Any, options: Any) -> list[list[Row]]:
        return []

    def decode(self, item: Any, rows: Any, outputs: Any, options: Any) -> Any:
        return outputs


class Tagger(Model):
    """Reads logits of tokens."""

    token_level: ClassVar[bool] = True
    output_rank: ClassVar[int | None] = 3


class Reader(Model):
    """Reads where answers start and end."""

    required_outputs: ClassVar[frozenset[str]] = frozenset({"start_logits", "end_logits"})
    token_level: ClassVar[bool] = True
    output_width = None


def outputs(model: type[Model], *names: str, **infos: TensorInfo) -> GraphOutputs:
    there = {**{name: TensorInfo("float32") for name in names}, **infos}
    return GraphOutputs(Signature({}, there, "m.onnx"), model())


def read(made: GraphOutputs, lengths: list[int], **batch: Any) -> list[dict[str, Any]]:
    arrays = {name: np.array(value, np.float32) for name, value in batch.items()}
    rows = made.read(arrays, lengths)
    return [{name: array.tolist() for name, array in row.items()} for row in rows]


@pytest.mark.parametrize(
    "names", [("logits",), ("output_0",), ("last_hidden_state", "scores"), ("present.0", "output")]
)
def test_logits_are_found_by_name_or_as_the_only_answer(names: tuple[str, ...]) -> None:
    batch = {name: [[1, 2, 3]] for name in names}
    assert read(outputs(Model, *names), [4], **batch) == [{"logits": [1, 2, 3]}]


def test_of_several_unnamed_outputs_the_one_of_the_right_rank_is_taken() -> None:
    made = outputs(
        Model,
        output_0=TensorInfo("float32", (None, None, 8)),
        output_1=TensorInfo("float32", (None, 3)),
    )
    batch = {"output_0": np.zeros((1, 2, 8)), "output_1": [[1, 2, 3]]}
    assert read(made, [2], **batch) == [{"logits": [1, 2, 3]}]


@pytest.mark.parametrize(
    "names",
    [
        ("start_logits", "end_logits"),
        ("end_logits", "start_logits"),
        ("start", "end"),
        ("output_end", "output_start"),
        ("output_0", "output_1"),
    ],
)
def test_start_and_end_are_found_by_name_then_by_order(names: tuple[str, ...]) -> None:
    first, second = names
    [row] = read(outputs(Reader, *names), [2], **{first: [[1, 2]], second: [[3, 4]]})
    expected = ([3, 4], [1, 2]) if "end" in first else ([1, 2], [3, 4])
    assert (row["start_logits"], row["end_logits"]) == expected


@pytest.mark.parametrize(
    ("model", "names"),
    [
        (Model, ("start_logits", "end_logits")),
        (Model, ("start", "end")),
        (Model, ("last_hidden_state", "pooler_output")),
        (Reader, ("logits",)),
        (Reader, ("output_0",)),
    ],
)
def test_another_head_is_refused_by_name(model: type[Model], names: tuple[str, ...]) -> None:
    with pytest.raises(
        BundleError, match=f"m.onnx is for another task.*it gives {', '.join(names)}, but"
    ):
        outputs(model, *names)


def test_padding_is_cut_off() -> None:
    batch = [[[1, 2, 3], [4, 5, 6]], [[7, 8, 9], [0, 0, 0]]]
    assert read(outputs(Tagger, "logits"), [2, 1], logits=batch) == [
        {"logits": [[1, 2, 3], [4, 5, 6]]},
        {"logits": [[7, 8, 9]]},
    ]


def test_rows_that_fill_a_fixed_batch_are_left_out() -> None:
    assert len(read(outputs(Model, "logits"), [2], logits=[[1, 2, 3], [1, 2, 3]])) == 1


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_none_are_refused(value: float) -> None:
    with pytest.raises(BundleError, match=r"m\.onnx gives logits that are NaN or infinite"):
        read(outputs(Model, "logits"), [2, 2], logits=[[1, 2, 3], [1, value, 3]])


def test_padding_may_hold_anything() -> None:
    batch = [[[1, 2, 3], [np.nan, 0, 0]]]
    assert read(outputs(Tagger, "logits"), [1], logits=batch) == [{"logits": [[1, 2, 3]]}]


@pytest.mark.parametrize(
    ("model", "shape", "message"),
    [
        (Model, (1, 2, 3), r"for another task.*: its logits have 3 axes \(scores of each token\)"),
        (Model, (1, 4), "gives 4 logits, but its config.json names 3 labels"),
        (Model, (3,), "have 1 axes"),
        (Tagger, (1, 3), r"for another task.*: its logits have 2 axes \(scores of a whole text\)"),
        (Tagger, (1, 2, 4), "gives 4 logits per token, but its config.json names 3 labels"),
        (Tagger, (1, 1, 3), r"gives logits of the shape \(1, 1, 3\) for 1 rows"),
        (Model, (0, 3), r"gives logits of the shape \(0, 3\) for 1 rows"),
    ],
)
def test_a_shape_that_the_task_does_not_read_is_refused(
    model: type[Model], shape: tuple[int, ...], message: str
) -> None:
    with pytest.raises(BundleError, match=message):
        read(outputs(model, "logits"), [2], logits=np.zeros(shape))
    if 0 not in shape and "shape" not in message:
        with pytest.raises(BundleError, match=message):
            outputs(model, logits=TensorInfo("float32", shape))
