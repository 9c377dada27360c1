"""Renders answers as HTML: bars, marked text, plain text or tables, depending on the task.

The functions know the output formats of the Hugging Face tasks. Any other answer becomes a table of
its fields, so that unknown tasks are readable too. The choice depends on the declared display and
on the format of the answer, never on the name of the task. All text of users and models is escaped.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from nlplug.explanations.result import is_explained
from nlplug.task import Display
from nlplug_webui.label_names import named
from nlplug_webui.spans import Marked, Spans, group
from nlplug_webui.texts import TEXTS, say

MAX_CHARACTERS = 20_000
MAX_ROWS = 200
_KINDS_SHOWN = 12


@dataclass(frozen=True)
class Shown:
    """An answer, from top to bottom.

    Attributes:
        head: HTML.
        marked: A text with its spans, shown between head and tail; None: no such text.
        tail: HTML.
    """

    head: str
    marked: Marked | None = None
    tail: str = ""

    @property
    def html(self) -> str:
        """Head and tail."""
        return self.head + self.tail


def show(
    display: Display,
    answer: Any,
    item: Mapping[str, Any],
    language: str,
    *,
    labels: Sequence[str] = (),
    before: str = "",
) -> Shown:
    """Render one answer.

    Args:
        display: The declared display of the task.
        answer: The answer of the pipeline to one input.
        item: The input, by field.
        language: Language of the texts around the answer.
        labels: The labels of the model, so that each label keeps its colour.
        before: The part at the start of a text that the model did not generate, such as the prompt.
    """
    if answer is None or (isinstance(answer, list | tuple | str | dict) and not answer):
        if display is Display.LABEL and isinstance(answer, list):
            return Shown(empty_html("○", say("no_label", language), say("no_label_hint", language)))
        if display is Display.TEXT:
            return Shown(empty_html("○", say("empty_text", language), ""))
        return Shown(empty_html("○", say("nothing_found", language), ""))
    rows = _rows(answer)
    if display is Display.LABEL and rows and all("label" in r and "score" in r for r in rows):
        notice = abstaining_html(language) if rows[0].get("abstained") else ""
        return Shown(notice + bars_html(rows))
    if display is Display.HIGHLIGHT and rows:
        spans = _spans(rows, item)
        if spans is not None:
            return _show_spans(spans, language, labels)
    if display is Display.TEXT:
        texts = _texts(answer)
        if texts is not None:
            return Shown(texts_html(texts, language, before=before))
    if rows:
        return Shown(table_html(rows, language))
    return Shown(text_html(answer if isinstance(answer, str) else _compact(answer), language))


def _show_spans(spans: Spans, language: str, labels: Sequence[str]) -> Shown:
    marked = spans.mark(labels)
    head = _best_html(spans.rows[0], language) if spans.answers else _counts_html(spans, language)
    note = ""
    if marked.shown < marked.total:
        (start, end), *others = marked.parts
        part = say(
            "parts_shown" if others else "part_shown",
            language,
            n=len(marked.parts),
            shown=f"{marked.shown:,}",
            start=f"{start + 1:,}",
            end=f"{end:,}",
            total=f"{marked.total:,}",
        )
        note = f'<p class="np-note np-part">{escape(part)}</p>'
    table = spans.table()
    for row in table:
        if row.get("answer") == "":
            row["answer"] = say("no_answer_short", language)
        if "type" in row:
            row["type"] = named(row["type"], language)
    tail = table_html(table, language, total=len(spans.rows)) + _spans_html(spans, marked)
    if not any(name is not None for _, name in marked.segments):
        return Shown(head, None, tail)
    return Shown(head, marked, note + tail)


def _spans_html(spans: Spans, marked: Marked) -> str:
    """A hidden element with the text and all spans for the downloads, and the marks of the rows."""
    data = escape(json.dumps(spans.every(), ensure_ascii=True, default=str))
    text = escape(spans.text)
    return (
        f'<span hidden class="np-spans" data-text="{text}" data-spans="{data}" '
        f'data-marked="{json.dumps(marked.marks)}"></span>'
    )


def _counts_html(spans: Spans, language: str) -> str:
    """The number of spans of each type."""
    kinds = Counter(group(row) for row in spans.rows if group(row)).most_common()
    found = say("found", language, n=f"{len(spans.rows):,}")
    hint = escape(say("toggle_type", language))
    parts = "".join(
        f'<button type="button" class="np-chip np-type" aria-pressed="true" title="{hint}" '
        f'data-type="{escape(name)}">{escape(named(name, language))} {count:,}</button>'
        for name, count in kinds[:_KINDS_SHOWN]
    )
    if len(kinds) > _KINDS_SHOWN:
        more = say("more", language, n=len(kinds) - _KINDS_SHOWN)
        parts += f'<span class="np-chip">{escape(more)}</span>'
    return f'<p class="np-counts"><strong>{escape(found)}</strong>{parts}</p>'


def _best_html(row: Mapping[str, Any], language: str) -> str:
    """The best answer to a question, or the message that there is none."""
    score = row.get("score")
    shown = f'<span class="np-best-score">{score:.1%}</span>' if isinstance(score, float) else ""
    if row["answer"] == "":
        title, hint = say("no_answer", language), say("no_answer_hint", language)
        return (
            f'<div class="np-best np-best-none"><strong>{escape(title)}</strong>{shown}'
            f"<p>{escape(hint)}</p></div>"
        )
    text = str(row["answer"])
    text = text if len(text) <= MAX_CHARACTERS else text[:MAX_CHARACTERS] + "…"
    return f'<div class="np-best"><strong>{escape(text)}</strong>{shown}</div>'


def abstaining_html(language: str) -> str:
    """The message that the model abstains."""
    return (
        f'<div class="np-abstains" role="note"><strong>{escape(say("abstains", language))}</strong>'
        f"<p>{escape(say('abstains_hint', language))}</p></div>"
    )


def bars_html(rows: Sequence[Mapping[str, Any]]) -> str:
    """``[{label, score}]`` as labelled bars, best first."""
    ordered = sorted(rows, key=lambda row: -float(row["score"]))[:MAX_ROWS]
    # Scores that are not probabilities (raw logits) are scaled to the largest one.
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


def texts_html(texts: Sequence[str], language: str, *, before: str = "") -> str:
    """Generated texts, each with a copy button, and numbered if there are several.

    Args:
        texts: The texts.
        language: Language of the texts around them.
        before: The part at the start of a text that the model did not generate.
    """
    return "".join(
        written_frame(
            text_html(text, language, before=before), language, place if len(texts) > 1 else None
        )
        for place, text in enumerate(texts, 1)
    )


def written_frame(html: str, language: str, number: int | None = None) -> str:
    """A generated text with its copy button, and its number if it is one of several."""
    copy, copied = escape(say("copy", language)), escape(say("copied", language))
    return (
        '<section class="np-written"><div class="np-written-tools">'
        f"{f'<span>{number}</span>' if number is not None else ''}"
        f'<button type="button" class="np-copy" data-done="✓ {copied}" '
        f'data-copy="written">{copy}</button></div>{html}</section>'
    )


def text_html(text: str, language: str, *, before: str = "") -> str:
    """A text with its line breaks; ``before`` at its start is shown in a weaker colour."""
    note = ""
    if len(text) > MAX_CHARACTERS:
        cut = say("shortened", language, n=f"{MAX_CHARACTERS:,}", total=f"{len(text):,}")
        note = f'<p class="np-note">{cut}</p>'
    text = text[:MAX_CHARACTERS]
    own = len(before) if before and text.startswith(before) else 0
    given = f'<span class="np-given">{escape(text[:own])}</span>' if own else ""
    return f'<div class="np-text">{given}{escape(text[own:])}</div>{note}'


def growing_html(text: str, language: str, *, before: str = "") -> str:
    """A text that is being generated; only its end if it is long."""
    given = f'<span class="np-given">{escape(before[-MAX_CHARACTERS:])}</span>' if before else ""
    note = f'<p class="np-note np-working" role="status">{escape(say("growing", language))}</p>'
    return (
        f'<div class="np-growing" aria-busy="true">{note}<div class="np-text">{given}'
        f'{escape(text[-MAX_CHARACTERS:])}<span class="np-caret" aria-hidden="true"></span></div>'
        "</div>"
    )


def table_html(
    rows: Sequence[Mapping[str, Any]], language: str, *, total: int | None = None
) -> str:
    """Rows as a table with one column per field that occurs in any row.

    Args:
        rows: The rows.
        language: Language of the column titles and of the note below.
        total: Number of all rows if ``rows`` are only the first ones; None: ``rows`` are all.
    """
    shown = rows if total is not None else rows[:MAX_ROWS]
    names = list(dict.fromkeys(name for row in shown for name in row))
    titles = [say(f"col_{name}", language) if f"col_{name}" in TEXTS else name for name in names]
    head = "".join(f'<th scope="col">{escape(str(title))}</th>' for title in titles)
    body = "".join(
        "<tr>" + "".join(_cell(row.get(name)) for name in names) + "</tr>" for row in shown
    )
    note = ""
    every = len(rows) if total is None else total
    if every > len(shown):
        note = say("rows_of", language, n=f"{len(shown):,}", total=f"{every:,}")
        note = f'<p class="np-note">{escape(note)}</p>'
    return (
        f'<div class="np-table np-table-tall" tabindex="0"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>{note}"
    )


def empty_html(sign: str, title: str, hint: str) -> str:
    """The placeholder of an empty card."""
    return (
        f'<div class="np-empty"><span class="np-empty-sign" aria-hidden="true">{sign}</span>'
        f"<strong>{escape(title)}</strong><span>{escape(hint)}</span></div>"
    )


def summary(answer: Any, language: str = "en") -> str:
    """An answer as a short text, for one cell of the batch table."""
    if is_explained(answer):
        answer = answer["answer"]
    rows = _rows(answer)
    if rows and all("label" in row and "score" in row for row in rows):
        best = max(rows, key=lambda row: float(row["score"]))
        return f"{best['label']} ({float(best['score']):.1%})"
    if rows and all("word" in row for row in rows):
        return ", ".join(f"{row['word']} ({group(row)})" for row in rows[:MAX_ROWS])
    if isinstance(answer, list) and not answer:
        return say("nothing_found", language)
    texts = _texts(answer)
    if texts is not None:
        return " | ".join(text or say("no_answer_short", language) for text in texts)
    return _compact(answer)


def _rows(answer: Any) -> list[dict[str, Any]]:
    items = answer if isinstance(answer, list | tuple) else [answer]
    if items and all(isinstance(item, list | tuple) for item in items):
        items = [inner for item in items for inner in item]
    return [dict(i) for i in items] if all(isinstance(i, Mapping) for i in items) else []


def _texts(answer: Any) -> list[str] | None:
    """The texts in ``"…"``, ``{"…_text": "…"}``, ``{"answer": "…"}`` or a list of these."""
    if isinstance(answer, str):
        return [answer]
    found = []
    for row in _rows(answer):
        keys = [key for key in row if key.endswith("text") or key == "answer"]
        if not keys or not isinstance(row[keys[0]], str):
            return None
        found.append(row[keys[0]])
    return found or None


def _spans(rows: Sequence[Mapping[str, Any]], item: Mapping[str, Any]) -> Spans | None:
    """The rows as spans of the input field to which their ``start`` and ``end`` refer."""
    if not all(isinstance(row.get(key), int) for row in rows for key in ("start", "end")):
        return None
    texts = [value for value in item.values() if isinstance(value, str)]
    if not texts:
        return None
    answers = all(isinstance(row.get("answer"), str) for row in rows)
    longest = max(texts, key=len)
    for row in rows:
        word = row.get("answer") or row.get("word")
        for value in texts:
            if word and value[row["start"] : row["end"]] == word:
                return Spans(value, rows, answers)
    return Spans(longest, rows, answers)


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
