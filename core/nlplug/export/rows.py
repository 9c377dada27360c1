"""The rows that the gate compares on: labelled rows if there are any, else unlabelled ones."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nlplug.data.readers import read_rows
from nlplug.errors import DataError
from nlplug.families.family import load
from nlplug.models.signature import Signature
from nlplug.runtime.feeds import GraphFeeds
from nlplug.validation import make_input

if TYPE_CHECKING:
    import numpy as np

    from nlplug.evaluation.base import Evaluation
    from nlplug.runtime.model import TaskModel
    from nlplug.task import Task, TaskInput, TaskOptions

_SEED = 20260101

SENTENCES = (
    "The train to the coast leaves at seven and arrives before noon.",
    "I have rarely seen a film that wastes so much talent on so thin a story.",
    "Great value: it arrived early, works as described, and the battery lasts for days.",
    "Could you tell me where the nearest pharmacy is?",
    "The committee postponed its decision until the end of the month.",
    "No.",
    "It is not that I disliked the book; I simply never cared what happened next.",
    "Shares fell by four per cent after the company lowered its forecast for the year.",
    "What a wonderful evening, thank you all so much!",
    "The screen cracked within a week and customer service never called back.",
    "Researchers in Lyon report that the new alloy withstands twice the pressure.",
    "Well, that was... something.",
    "She said it was fine, but her face told another story altogether.",
    "Please restart the device, wait ten seconds, and try to connect again.",
    "A masterpiece of quiet observation, beautifully acted and never a minute too long.",
    "Rain is expected in the north, with sunny spells further south in the afternoon.",
    "The soup was cold, the waiter rude, and the bill a joke.",
    "I would buy it again without thinking twice.",
    "The second half of the match was as dull as the first was thrilling, and although the home "
    "side kept the ball for long stretches, hardly a shot came near the goal until, in the very "
    "last minute, a long pass found the young striker, who turned and scored.",
    "It does what it says. Nothing more, nothing less.",
)


@dataclass(frozen=True)
class GateRows:
    """What the gate compares on.

    Attributes:
        inputs: Validated inputs of the task.
        targets: The right answers, or None without labels.
        origin: Description of the rows, for report and manifest.
    """

    inputs: list[TaskInput]
    targets: list[Any] | None
    origin: str


def gate_rows(
    task: Task,
    evaluation: Evaluation | None,
    data: Path | None,
    *,
    limit: int,
    columns: Mapping[str, str] | None = None,
) -> GateRows:
    """Choose the rows.

    With a file: up to ``limit`` of its rows, sampled with a fixed seed; labelled when the task has
    an evaluation and the rows have labels. Without: the task's examples, and inputs that its
    family makes from built-in sentences.

    Raises:
        DataError: The file cannot be used.
    """
    if data is None:
        inputs = [make_input(task, dict(example.input)) for example in task.examples]
        if task.family.gate_inputs:
            built_in = load(task.family.gate_inputs)(SENTENCES)
            inputs += [make_input(task, values) for values in built_in]
        return GateRows(inputs, None, "the task's examples and built-in sentences, without labels")
    columns = columns or {}
    if evaluation is not None and labelled(evaluation, data, columns):
        samples = draw(evaluation.samples(data, **columns), limit)
        return GateRows(
            [make_input(task, sample.input) for sample in samples],
            [sample.target for sample in samples],
            f"{len(samples)} labelled rows of {data.name}",
        )
    known = task.Input.model_fields
    rows = draw(
        (
            {
                name: row.values[at]
                for name in known
                if (at := columns.get(name, name)) in row.values
            }
            for row in read_rows(data)
        ),
        limit,
    )
    inputs = [make_input(task, row) for row in rows]
    return GateRows(inputs, None, f"{len(inputs)} rows of {data.name}, without labels")


def calibration_feeds(
    model: TaskModel[Any, Any], inputs: Sequence[TaskInput], options: TaskOptions, *, limit: int
) -> list[dict[str, np.ndarray]]:
    """Some inputs as feeds of the graph, one window each and without padding.

    Calibration uses no labels, so it may use the rows that the gate measures on.

    Args:
        model: The task, bound to the model.
        inputs: The inputs.
        options: Of the task.
        limit: Maximum number of feeds.
    """
    step = max(1, len(inputs) // limit)
    rows = [windows[0] for windows in model.encode(inputs[::step], options) if windows]
    names = ("input_ids", "attention_mask", "token_type_ids", "position_ids")
    feeds = GraphFeeds(
        Signature.of_names(names),
        pad_token_id=model.pad_token_id,
        first_position=model.first_position,
    )
    return [feeds.collate([row]) for row in rows[:limit]]


def labelled(evaluation: Evaluation, data: Path, columns: Mapping[str, str]) -> bool:
    """Whether the rows of a file have labels, right or wrong."""
    first = next(iter(read_rows(data, limit=1)), None)
    if first is None:
        raise DataError(f"{data} has no rows.", hint="Give a file with rows to compare on.")
    wanted = [columns[name] for name in evaluation.target_columns if name in columns]
    return bool(wanted) or any(name in first.values for name in evaluation.target_columns)


def draw(rows: Iterator[Any], limit: int) -> list[Any]:
    """``limit`` rows, each with the same probability, in their order (reservoir sampling)."""
    source = random.Random(_SEED)
    kept: list[tuple[int, Any]] = []
    for index, row in enumerate(rows):
        if len(kept) < limit:
            kept.append((index, row))
        elif (place := source.randrange(index + 1)) < limit:
            kept[place] = (index, row)
    return [row for _, row in sorted(kept, key=lambda item: item[0])]
