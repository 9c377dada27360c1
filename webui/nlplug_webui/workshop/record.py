"""The answer on a page as data, for the script that lets a visitor correct it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from nlplug.errors import InputError
from nlplug.task import Task
from nlplug.workspace.datasets import corrections_of


def record_html(task: Task, item: Mapping[str, Any], answer: Any, labels: Sequence[str]) -> str:
    """A hidden element with the input, the answer as a value to correct, and the known labels.

    Args:
        task: The task.
        item: The input.
        answer: The answer of the task.
        labels: Labels of the model.

    Returns:
        HTML; empty if answers of the task cannot be corrected.
    """
    if not task.family.corrections:
        return ""
    ways = corrections_of(task)
    value = ways.suggestion(answer)
    try:
        row = ways.row(item, value)
        fields = {name: row[name] for name in ways.fields}
    except InputError:  # the answer is not a right value as it is, such as no label
        fields = {name: text for name, text in item.items() if isinstance(text, str)}
    record = {
        "task": task.name,
        "kind": ways.kind,
        "marked": ways.marked,
        "item": dict(item),
        "fields": fields,
        "value": value,
        "known": ways.names(labels),
    }
    data = json.dumps(record, ensure_ascii=True, default=str)
    return f'<span hidden class="np-record" data-record="{escape(data)}"></span>'
