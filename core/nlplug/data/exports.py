"""Rows as annotation tools export them: Label Studio, spaCy, Prodigy.

Those of doccano are read where spans are.
"""

from __future__ import annotations

from typing import Any

from nlplug.errors import DataError

_MARKED = {"label", "spans", "accept", "_task_hash"}


def is_rejected(value: Any) -> bool:
    """Whether an annotator rejected or skipped what this row of Prodigy says.

    See https://prodi.gy/docs/api-interfaces: such a row has the same fields as an accepted one.
    """
    return (
        isinstance(value, dict)
        and value.get("answer") in ("reject", "ignore")
        and not _MARKED.isdisjoint(value)
    )


def tool_row(value: Any, place: str) -> Any:
    """A row of a tool as ``text`` with ``entities`` or ``label``; any other value as it is.

    Args:
        value: One element of a JSON file.
        place: ``file:line``.

    Raises:
        DataError: A task of Label Studio with several annotations, or of another kind.
    """
    if isinstance(value, dict) and isinstance(value.get("data"), dict):
        for name in ("annotations", "completions"):
            if isinstance(value.get(name), list):
                return _label_studio(value["data"], value[name], place)
    if isinstance(value, dict) and "options" in value and isinstance(value.get("accept"), list):
        chosen = value["accept"]  # https://prodi.gy/docs/api-interfaces#choice
        return {"label": chosen[0] if len(chosen) == 1 else chosen, **value}
    if isinstance(value, list) and len(value) == 2 and isinstance(value[0], str):
        return _spacy(value[0], value[1])
    return value


def _label_studio(data: dict[str, Any], annotations: list[Any], place: str) -> dict[str, Any]:
    """https://labelstud.io/guide/export: a task with what one annotator marked in it."""
    kept = [a for a in annotations if isinstance(a, dict) and not a.get("was_cancelled")]
    if len(kept) > 1:
        raise DataError(
            f"{place}: the Label Studio task has {len(kept)} annotations.",
            hint="Keep one annotation per task; it is not clear which one is right.",
        )
    row = dict(data)
    entities: list[dict[str, Any]] = []
    labels: list[str] = []
    spans = False
    for result in kept[0].get("result", []) if kept else []:
        value = result.get("value", {}) if isinstance(result, dict) else {}
        kind = result.get("type") if isinstance(result, dict) else None
        if kind == "labels" and {"start", "end", "labels"} <= value.keys():
            spans = True
            entities += [
                {"start": value["start"], "end": value["end"], "label": label}
                for label in value["labels"]
            ]
        elif kind == "choices" and isinstance(value.get("choices"), list):
            labels += value["choices"]
        elif kind != "relation":
            raise DataError(
                f"{place}: the Label Studio task has a result of the type {kind!r}.",
                hint="Results of the types labels and choices can be read.",
            )
    if labels:
        return {**row, "label": labels[0] if len(labels) == 1 else labels}
    return {**row, "entities": entities} if spans or kept else row


def _spacy(text: str, marks: Any) -> Any:
    """``[text, {"entities": [[0, 5, "PER"]]}]`` or ``[text, {"cats": {"POS": 1.0}}]``."""
    if not isinstance(marks, dict):
        return [text, marks]
    if "entities" in marks:
        return {"text": text, "entities": marks["entities"]}
    cats = marks.get("cats")
    if isinstance(cats, dict) and cats:
        chosen = [name for name, score in cats.items() if score in (1, True)]
        return {"text": text, "label": chosen[0] if len(chosen) == 1 else chosen}
    return [text, marks]
