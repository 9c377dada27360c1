"""Answers as HTML: bars, marked text, plain text, tables; by what a task declares to display.

The functions know the shapes of the Hugging Face tasks and fall back to a table of whatever
fields there are, so that a task nobody has thought of yet is still readable. Everything that
came from a user or a model is escaped.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from nlplug.task import Display
from nlplug_webui.texts import say

MAX_CHARACTERS = 20_000
MAX_ROWS = 200
HUES = 8


def answer_html(display: Display, answer: Any, item: Mapping[str, Any], language: str) -> str:
    """One answer as HTML.

    Args:
        display: How the task wants to be shown.
        answer: What the pipeline gave for one input.
        item: The input, by field.
        language: Of the words around the answer.
    """
    if answer is None or (isinstance(answer, list | tuple | str | dict) and not answer):
        return empty_html("○", say("nothing_found", language), "")
    rows = _rows(answer)
    if display is Display.LABEL and rows and all("label" in r and "score" in r for r in rows):
        return bars_html(rows)
    if display is Display.HIGHLIGHT and rows:
        text = _marked_text(rows, item)
        if text is not None:
            return highlight_html(text, rows, language) + table_html(rows, language)
    if display is Display.TEXT:
        texts = _texts(answer)
        if texts is not None:
            return "".join(text_html(text, language) for text in texts)
    if rows:
        return table_html(rows, language)
    return text_html(answer if isinstance(answer, str) else _compact(answer), language)


def bars_html(rows: Sequence[Mapping[str, Any]]) -> str:
    """``[{label, score}]`` as labelled bars, the strongest first."""
    ordered = sorted(rows, key=lambda row: -float(row["score"]))[:MAX_ROWS]
    # Scores that are no probabilities (raw logits) are scaled to the widest of them.
    widest = max(1.0, *(abs(float(row["score"])) for row in ordered))
    parts = []
    for place, row in enumerate(ordered):
        score = float(row["score"])
        width = 100.0 * abs(score) / widest
        shown = f"{score:.1%}" if widest == 1.0 and score >= 0 else f"{score:.3f}"
        parts.append(
            f'<li class="np-bar{" np-bar-first" if place == 0 else ""}">'
            f'<span class="np-bar-name">{escape(str(row["label"]))}</span>'
            f'<span class="np-bar-score" title="{score:.6f}">{shown}</span>'
            f'<span class="np-bar-track"><span class="np-bar-fill" '
            f'style="width:{width:.2f}%"></span></span></li>'
        )
    return f'<ul class="np-bars">{"".join(parts)}</ul>'


def highlight_html(text: str, rows: Sequence[Mapping[str, Any]], language: str) -> str:
    """A text with its spans marked; overlapping spans are left to the table."""
    shown = text[:MAX_CHARACTERS]
    groups = list(dict.fromkeys(_group(row) for row in rows))
    hue = {group: place % HUES for place, group in enumerate(groups)}
    parts, at = [], 0
    for row in sorted(rows, key=lambda row: (int(row["start"]), -int(row["end"]))):
        start, end = int(row["start"]), int(row["end"])
        if start < at or end > len(shown) or end <= start:
            continue
        group = _group(row)
        parts.append(escape(shown[at:start]))
        name = f'<span class="np-mark-name">{escape(group)}</span>' if group else ""
        parts.append(
            f'<mark class="np-mark np-hue-{hue[group]}">{escape(shown[start:end])}{name}</mark>'
        )
        at = end
    parts.append(escape(shown[at:]))
    note = ""
    if len(text) > len(shown):
        cut = say("shortened", language, n=f"{len(shown):,}", total=f"{len(text):,}")
        note = f'<p class="np-note">{cut}</p>'
    return f'<div class="np-text">{"".join(parts)}</div>{note}'


def text_html(text: str, language: str) -> str:
    """A text as it is, line breaks kept."""
    note = ""
    if len(text) > MAX_CHARACTERS:
        cut = say("shortened", language, n=f"{MAX_CHARACTERS:,}", total=f"{len(text):,}")
        note = f'<p class="np-note">{cut}</p>'
    return f'<div class="np-text">{escape(text[:MAX_CHARACTERS])}</div>{note}'


def table_html(rows: Sequence[Mapping[str, Any]], language: str) -> str:
    """Rows as a table; a column for each field that any row has."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    head = "".join(f"<th>{escape(str(name))}</th>" for name in names)
    body = "".join(
        "<tr>" + "".join(_cell(row.get(name)) for name in names) + "</tr>"
        for row in rows[:MAX_ROWS]
    )
    note = ""
    if len(rows) > MAX_ROWS:
        note = f'<p class="np-note">{say("rows_shown", language, n=MAX_ROWS)}</p>'
    return (
        f'<div class="np-table"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>{note}"
    )


def empty_html(sign: str, title: str, hint: str) -> str:
    """What stands where nothing is yet."""
    return (
        f'<div class="np-empty"><span class="np-empty-sign" aria-hidden="true">{sign}</span>'
        f"<strong>{escape(title)}</strong><span>{escape(hint)}</span></div>"
    )


def summary(answer: Any) -> str:
    """An answer in a few words, for one cell of the batch table."""
    rows = _rows(answer)
    if rows and all("label" in row and "score" in row for row in rows):
        best = max(rows, key=lambda row: float(row["score"]))
        return f"{best['label']} ({float(best['score']):.1%})"
    if rows and all("word" in row for row in rows):
        return ", ".join(f"{row['word']} ({_group(row)})" for row in rows)
    texts = _texts(answer)
    if texts is not None:
        return " | ".join(texts)
    return _compact(answer)


def _rows(answer: Any) -> list[dict[str, Any]]:
    items = answer if isinstance(answer, list | tuple) else [answer]
    if items and all(isinstance(item, list | tuple) for item in items):
        items = [inner for item in items for inner in item]
    return [dict(i) for i in items] if all(isinstance(i, Mapping) for i in items) else []


def _texts(answer: Any) -> list[str] | None:
    """The texts of ``"…"``, ``{"…_text": "…"}``, ``{"answer": "…"}`` or a list of such."""
    if isinstance(answer, str):
        return [answer]
    found = []
    for row in _rows(answer):
        keys = [key for key in row if key.endswith("text") or key == "answer"]
        if not keys or not isinstance(row[keys[0]], str):
            return None
        found.append(row[keys[0]])
    return found or None


def _marked_text(rows: Sequence[Mapping[str, Any]], item: Mapping[str, Any]) -> str | None:
    """The field of the input that the rows' ``start`` and ``end`` point into."""
    if not all(isinstance(row.get(key), int) for row in rows for key in ("start", "end")):
        return None
    for row in rows:
        word = row.get("answer") or row.get("word")
        for value in item.values():
            if isinstance(value, str) and word and value[row["start"] : row["end"]] == word:
                return value
    return max((v for v in item.values() if isinstance(v, str)), key=len, default=None)


def _group(row: Mapping[str, Any]) -> str:
    return str(row.get("entity_group") or row.get("entity") or row.get("label") or "")


def _cell(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return f"<td>{'' if value is None else str(value).lower()}</td>"
    if isinstance(value, float):
        return f'<td class="np-num">{value:.4f}</td>'
    if isinstance(value, int):
        return f'<td class="np-num">{value}</td>'
    text = value if isinstance(value, str) else _compact(value)
    return f"<td>{escape(text if len(text) <= 400 else text[:400] + '…')}</td>"


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
