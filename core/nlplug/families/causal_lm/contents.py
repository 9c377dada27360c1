"""Texts, or prompts with their completions, as files hold them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nlplug.data.contents import Content, Contents
from nlplug.data.rows import DataRow

if TYPE_CHECKING:
    from nlplug.train.config import TrainConfig

PAIR = ("prompt", "completion")
_HINT = "a row has a text, or a prompt and a completion; name the text by --text-column."


class Documents(Contents):
    """Rows with a text, or with ``prompt`` and ``completion``."""

    config: TrainConfig

    def key(self, row: DataRow) -> str:
        prompt, text = self.parts(row)
        return prompt or text

    def content(self, row: DataRow) -> Content:
        prompt, text = self.parts(row)
        columns = PAIR if prompt else (self.config.text_column,)
        return Content(f"{prompt}{text}", columns=tuple((name, name) for name in columns))

    def parts(self, row: DataRow) -> tuple[str, str]:
        """The prompt, which may be empty, and the text of a row.

        Raises:
            DataError: The row has neither a text nor a prompt with its completion.
        """
        if all(name in row.values for name in PAIR):
            return row.text(PAIR[0], hint=_HINT), row.text(PAIR[1], hint=_HINT)
        return "", row.text(self.config.text_column, hint=_HINT)
