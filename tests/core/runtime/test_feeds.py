"""The inputs of a graph are made after what it declares."""

from __future__ import annotations

import numpy as np
import pytest

from nlplug.errors import BundleError
from nlplug.models.signature import Signature, TensorInfo
from nlplug.runtime.feeds import GraphFeeds
from nlplug.runtime.model import Row

FREE = (None, None)


def feeds(*names: str, pad: int | None = 0, first: int = 0, **infos: TensorInfo) -> GraphFeeds:
    inputs = {**{name: TensorInfo("int64", FREE) for name in names}, **infos}
    return GraphFeeds(Signature(inputs, {}, "m.onnx"), pad_token_id=pad, first_position=first)


def rows(*ids: list[int]) -> list[Row]:
    return [Row({"input_ids": own}) for own in ids]


def test_padding_is_masked_and_uses_the_pad_token() -> None:
    made = feeds("input_ids", "attention_mask", pad=9).collate(rows([5, 6, 7], [8]))
    np.testing.assert_array_equal(made["input_ids"], [[5, 6, 7], [8, 9, 9]])
    np.testing.assert_array_equal(made["attention_mask"], [[1, 1, 1], [1, 0, 0]])
    assert {array.dtype for array in made.values()} == {np.dtype(np.int64)}


def test_rows_that_change_each_other_are_run_one_at_a_time() -> None:
    inputs = {name: TensorInfo("int64", FREE) for name in ("input_ids", "attention_mask")}
    alone = GraphFeeds(Signature(inputs, {}), pad_token_id=0, together=False)
    assert alone.plan([3, 5, 4], 384) == [[1], [2], [0]]


def test_only_declared_feeds_are_made() -> None:
    row = Row({"input_ids": [1], "token_type_ids": [1]})
    assert set(feeds("input_ids").collate([row])) == {"input_ids"}


def test_token_types_of_a_pair_are_fed_and_those_of_a_single_text_are_zero() -> None:
    made = feeds("input_ids", "token_type_ids")
    pair = made.collate([Row({"input_ids": [1, 2], "token_type_ids": [0, 1]})])
    np.testing.assert_array_equal(pair["token_type_ids"], [[0, 1]])
    np.testing.assert_array_equal(made.collate(rows([1, 2]))["token_type_ids"], [[0, 0]])


@pytest.mark.parametrize("order", [1, -1])
def test_a_pair_keeps_its_token_types_beside_a_single_text(order: int) -> None:
    both = [Row({"input_ids": [1, 2], "token_type_ids": [0, 1]}), *rows([3, 4])][::order]
    made = feeds("input_ids", "token_type_ids").collate(both)
    np.testing.assert_array_equal(made["token_type_ids"], [[0, 1], [0, 0]][::order])


@pytest.mark.parametrize("kind", ["int32", "bool", "float32", "float16"])
def test_the_mask_has_the_declared_type(kind: str) -> None:
    made = feeds("input_ids", attention_mask=TensorInfo(kind, FREE)).collate(rows([5, 6], [8]))
    assert made["attention_mask"].dtype == np.dtype(kind)
    np.testing.assert_array_equal(made["attention_mask"].astype(int), [[1, 1], [1, 0]])


@pytest.mark.parametrize(("first", "positions"), [(0, [0, 1, 2]), (2, [2, 3, 4])])
def test_positions_count_from_the_models_first(first: int, positions: list[int]) -> None:
    made = feeds("input_ids", "attention_mask", "position_ids", first=first)
    made_rows = made.collate(rows([5, 6, 7], [8]))["position_ids"]
    np.testing.assert_array_equal(made_rows, [positions, positions])


def test_names_of_the_tensorflow_bert_are_known() -> None:
    made = feeds("input_ids", "input_mask", "segment_ids").collate(rows([5, 6], [8]))
    np.testing.assert_array_equal(made["input_mask"], [[1, 1], [1, 0]])
    np.testing.assert_array_equal(made["segment_ids"], [[0, 0], [0, 0]])


@pytest.mark.parametrize(
    ("names", "pad"), [(("input_ids",), 0), (("input_ids", "attention_mask"), None)]
)
def test_without_a_mask_or_a_pad_token_rows_of_unequal_length_stay_apart(
    names: tuple[str, ...], pad: int | None
) -> None:
    assert feeds(*names, pad=pad).plan([2, 3, 2], 512) == [[1], [0, 2]]


def test_a_fixed_number_of_rows_is_filled_up() -> None:
    fixed = feeds(
        input_ids=TensorInfo("int64", (2, None)), attention_mask=TensorInfo("int64", (2, None))
    )
    assert fixed.plan([2, 2, 2], 512) == [[0, 1], [2]]
    np.testing.assert_array_equal(fixed.collate(rows([5, 6]))["input_ids"], [[5, 6], [5, 6]])


def test_a_fixed_length_is_filled_up() -> None:
    fixed = feeds("attention_mask", input_ids=TensorInfo("int64", (None, 4)), pad=9)
    made = fixed.collate(rows([5, 6]))
    np.testing.assert_array_equal(made["input_ids"], [[5, 6, 9, 9]])
    np.testing.assert_array_equal(made["attention_mask"], [[1, 1, 0, 0]])
    with pytest.raises(BundleError, match=r"5 tokens; m\.onnx takes 4"):
        fixed.collate(rows([1, 2, 3, 4, 5]))


@pytest.mark.parametrize(
    ("inputs", "reason"),
    [
        (
            {
                "input_ids": TensorInfo("int64", FREE),
                "pixel_values": TensorInfo("float32", (None, 3, 224, 224)),
            },
            "pixel_values cannot be fed",
        ),
        ({"attention_mask": TensorInfo("int64", FREE)}, "it has no input_ids"),
        ({"input_ids": TensorInfo("float32", FREE)}, "input_ids is of the type float32"),
        (
            {
                "input_ids": TensorInfo("int64", FREE),
                "attention_mask": TensorInfo("float32", (None, 1, None, None)),
            },
            "attention_mask has 4 axes instead of 2",
        ),
    ],
)
def test_what_cannot_be_fed_is_refused_by_name(inputs: dict[str, TensorInfo], reason: str) -> None:
    with pytest.raises(BundleError, match=f"m.onnx needs the inputs .*{reason}"):
        feeds(**inputs)


def test_a_fixed_length_without_a_pad_token_is_refused() -> None:
    with pytest.raises(BundleError, match="names no token to pad with"):
        feeds(input_ids=TensorInfo("int64", (None, 32)), pad=None)
