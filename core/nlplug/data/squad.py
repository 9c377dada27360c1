"""Questions on contexts: SQuAD v1 and v2 files as rows, and the answers that a row gives."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nlplug.data.rows import DataRow
from nlplug.errors import DataError
from nlplug.text.words import in_word

_SHAPE = (
    'A SQuAD file looks like {"data": [{"title": …, "paragraphs": [{"context": …, "qas": '
    '[{"id": …, "question": …, "answers": [{"text": …, "answer_start": 0}]}]}]}]}.'
)


def squad_rows(articles: list[Any], path: Path) -> Iterator[dict[str, Any]]:
    """The questions of a SQuAD file, each a row with ``id title context question answers``.

    ``answers`` is ``{"text": […], "answer_start": […]}``; both are empty where a question of
    version 2 cannot be answered (its ``plausible_answers`` are left out).

    Args:
        articles: What the file holds under ``data``.
        path: The file, for messages.

    Raises:
        DataError: Something is missing or of another form; names the file and the place: the
            question's id, else its article and paragraph.
    """
    for number, article in enumerate(articles):
        title = article.get("title", "") if isinstance(article, dict) else ""
        for index, paragraph in enumerate(_list(article, "paragraphs", path, f"data[{number}]")):
            place = f"data[{number}].paragraphs[{index}]"
            questions = _list(paragraph, "qas", path, place)
            context = paragraph.get("context")
            if not isinstance(context, str):
                raise DataError(f"{path}: {place} has no text 'context'.", hint=_SHAPE)
            for order, question in enumerate(questions):
                found = _answers(question, path, f"{place}.qas[{order}]")
                yield {"title": title, "context": context, **found}


def _answers(question: Any, path: Path, place: str) -> dict[str, Any]:
    name = question.get("id") if isinstance(question, dict) else None
    if name is not None:
        place = f"question {name!r}"
    if not isinstance(question, dict) or not isinstance(question.get("question"), str):
        raise DataError(f"{path}: {place} has no text 'question'.", hint=_SHAPE)
    row = {"id": "" if name is None else str(name), "question": question["question"]}
    if "answers" not in question and not question.get("is_impossible"):
        return row  # as in a test set whose answers are kept back
    answers = [] if question.get("is_impossible") else _pairs(question, path, place)
    for answer in answers:
        if not isinstance(answer, dict) or not isinstance(answer.get("text"), str):
            raise DataError(f"{path}: {place} has an answer without 'text'.", hint=_SHAPE)
    return row | {
        "answers": {
            "text": [answer["text"] for answer in answers],
            "answer_start": [answer.get("answer_start") for answer in answers],
        },
    }


def _pairs(question: dict[str, Any], path: Path, place: str) -> list[Any]:
    """The answers of a question, each ``{"text": …, "answer_start": …}`` where it has one."""
    pairs = _columns(question.get("answers"))
    if pairs is not None:
        return [{"text": text, "answer_start": start} for text, start in pairs]
    answers = _list(question, "answers", path, place)
    return [{"text": answer} if isinstance(answer, str) else answer for answer in answers]


def _columns(answers: Any) -> list[tuple[Any, Any]] | None:
    """Pairs of an answer and its start (None if there are no starts), from ``{"text": […],
    "answer_start": […]}``; None if the answers have another form."""
    if not isinstance(answers, dict) or not isinstance(answers.get("text"), list):
        return None
    texts, starts = answers["text"], answers.get("answer_start")
    if starts is None:
        starts = [None] * len(texts)
    if not isinstance(starts, list) or len(starts) != len(texts):
        return None
    return list(zip(texts, starts, strict=True))


def _list(value: Any, name: str, path: Path, place: str) -> list[Any]:
    found = value.get(name) if isinstance(value, dict) else None
    if not isinstance(found, list):
        raise DataError(f"{path}: {place} has no list {name!r}.", hint=_SHAPE)
    return found


def text_of(row: DataRow, column: str) -> str:
    """A column of a row of question answering that must hold a text.

    Raises:
        DataError: It is missing, blank, or no text; names file and line.
    """
    return row.text(
        column,
        hint="a row of question answering has 'question', 'context' and 'answers' or 'answer'.",
        place=_where(row),
    )


def answer_spans(row: DataRow) -> tuple[tuple[int, int], ...]:
    """The right answers as (start, end) characters of the row's context; none: no answer.

    Taken from ``answers`` as SQuAD has them, ``{"text": […], "answer_start": […]}`` or a list of
    ``{"text": …, "answer_start": …}``, else from the columns ``answer`` and ``answer_start``.
    Where no start is given the first occurrence counts, if possible one that cuts no word.
    ``is_impossible`` overrides them all.

    Raises:
        DataError: An answer that is not in the context (at its position), or of another form; names
            file and line.
    """
    context = text_of(row, "context")
    if row.values.get("is_impossible") in (True, 1, "true", "True", "1"):
        return ()
    return tuple(_span(text, start, context, row) for text, start in _given(row))


def _given(row: DataRow) -> list[tuple[Any, Any]]:
    """Pairs of an answer and its start (None if the row has no start), as in the row."""
    value: Any = row.nested("answers")
    pairs = _columns(value)
    if pairs is not None:
        return pairs
    if isinstance(value, list) and all(isinstance(item, dict) for item in value):
        return [(item.get("text"), item.get("answer_start")) for item in value]
    elif isinstance(value, list) and all(isinstance(item, str) for item in value):
        return [(item, None) for item in value]
    elif value is None and "answer" in row.values:
        answer = row.values["answer"]
        if answer is None or answer == "":
            return []
        return [(answer, row.values.get("answer_start"))]
    state = "is missing" if "answers" not in row.values else f"holds {value!r}"
    raise DataError(
        f"{_where(row)}: the column 'answers' {state}.",
        hint='It holds {"text": ["…"], "answer_start": [0]}, both empty where there is no answer; '
        'or give a column "answer".',
    )


def _span(text: Any, start: Any, context: str, row: DataRow) -> tuple[int, int]:
    if not isinstance(text, str) or not text:
        raise DataError(
            f"{_where(row)}: the answer {text!r} is not a text.",
            hint="A question without an answer has no entry in its answers.",
        )
    if start is None or start == "":
        first = found = context.find(text)
        if first < 0:
            raise DataError(
                f"{_where(row)}: the answer {text!r} is not in the context.",
                hint="Copy the answer exactly from its context.",
            )
        while found >= 0 and (in_word(context, found) or in_word(context, found + len(text))):
            found = context.find(text, found + len(text))
        start = first if found < 0 else found
        return start, start + len(text)
    try:
        begin = int(start)
        if isinstance(start, bool) or (isinstance(start, float) and start != begin):
            begin = -1
    except (TypeError, ValueError, OverflowError):
        begin = -1
    if begin < 0 or context[begin : begin + len(text)] != text:
        raise DataError(
            f"{_where(row)}: the answer {text!r} is not at position {start!r} of the context.",
            hint="answer_start counts characters from 0; leave it out to use the first occurrence.",
        )
    return begin, begin + len(text)


def _where(row: DataRow) -> str:
    """File and line, and the question's id if it has one."""
    name = row.values.get("id")
    return f"{row.where} (question {name!r})" if name not in (None, "") else row.where
