"""Texts with marked entities, or with one tag per token, as files hold them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nlplug.data.annotated import AnnotatedText, annotated, tagged_tokens, tokens_column
from nlplug.data.contents import Content, Contents
from nlplug.data.rows import DataRow
from nlplug.data.tags import label_single_tokens

if TYPE_CHECKING:
    from nlplug.task import Task
    from nlplug.train.config import LabelledConfig


class AnnotatedTexts(Contents):
    """Rows with tokens and tags, or with a text and spans; see `nlplug.data.annotated`.

    Attributes:
        plain: Whether the tags label single tokens, such as parts of speech.
    """

    config: LabelledConfig

    def __init__(self, task: Task, config: LabelledConfig) -> None:
        super().__init__(task, config)
        self.plain = label_single_tokens(config.labels)

    def fit(self, rows: Sequence[DataRow]) -> None:
        if self.config.labels:
            return
        seen: set[str] = set()
        for row in rows:
            if not tokens_column(row):
                self.plain = False
                return
            seen.update(tagged_tokens(row, label_column=self.config.label_column)[1])
        self.plain = label_single_tokens(seen)

    def key(self, row: DataRow) -> str:
        return self.annotated(row).text

    def content(self, row: DataRow) -> Content:
        found = self.annotated(row)
        text = "tokens" if tokens_column(row) else self.config.text_column
        return Content(
            found.text,
            ", ".join(f"{found.text[start:end]} ({name})" for start, end, name in found.spans),
            tuple(label for _, _, label in found.spans),
            (("text", text),),
            tuple((start, end) for start, end, _ in found.spans),
        )

    def annotated(self, row: DataRow) -> AnnotatedText:
        """The text of a row with its spans.

        Raises:
            DataError: The row cannot be used; the message names file and line.
        """
        return annotated(
            row,
            text_column=self.config.text_column,
            label_column=self.config.label_column,
            names=self.config.labels,
            plain=self.plain,
        )
