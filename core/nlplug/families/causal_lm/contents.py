"""Texts, or prompts with their completions, as files hold them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nlplug.data.contents import Content, Contents
from nlplug.data.rows import DataRow
from nlplug.errors import DataError

if TYPE_CHECKING:
    from nlplug.train.config import TrainConfig

PAIR = ("prompt", "completion")
_CHATS = ("messages", "conversations", "conversation")
_HINT = "a row has a text, or a prompt and a completion; name the text by --text-column."


def refuse_chat(row: DataRow, text_column: str) -> None:
    """Refuse a row of messages: its text depends on the chat template of a model.

    Raises:
        DataError: The row has messages, and neither a text nor a prompt.
    """
    if any(name in row.values for name in (text_column, *PAIR)):
        return
    for name in _CHATS:
        if name in row.values:
            raise DataError(
                f"{row.where}: the row is a chat, in the column {name!r}. Training and scoring "
                "take texts.",
                hint="Write each chat with the chat template of the model (apply_chat_template of "
                "transformers): as a text, or its last message as completion and the ones before "
                "it, with add_generation_prompt=True, as prompt.",
            )


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
            DataError: The row is a chat, or has neither a text nor a prompt with its completion.
        """
        refuse_chat(row, self.config.text_column)
        if all(name in row.values for name in PAIR):
            return row.text(PAIR[0], hint=_HINT), row.text(PAIR[1], hint=_HINT)
        return "", row.text(self.config.text_column, hint=_HINT)
