"""The options of families that can cut a text: whether and where a longer one ends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from pydantic import Field
from pydantic.json_schema import SkipJsonSchema

from nlplug.errors import InputError, OptionError
from nlplug.task import chinese

if TYPE_CHECKING:
    from nlplug.runtime.tokenizer import Tokenizer

Truncation = Annotated[
    bool,
    Field(
        title="Truncate long texts",
        description="Remove the end of a text that is longer than the model's window. Off: such a "
        "text is an error.",
        json_schema_extra=chinese(
            "截断长文本", "截去文本超出模型窗口的末尾；关闭则报错。", advanced=True
        ),
    ),
]
"""The option ``truncation`` of tasks that read one window."""
MaxLength = Annotated[
    SkipJsonSchema[int | None],
    Field(
        ge=1,
        title="Maximum length",
        description="With truncation: number of tokens to keep, special tokens included. Empty: "
        "the model's window.",
        json_schema_extra=chinese(
            "最大长度",
            "截断时保留的词元数（含特殊词元）。留空：模型的窗口。",
            advanced=True,
            by_name=True,
        ),
    ),
]
"""The option ``max_length`` of tasks that can truncate."""


def room_of(tokenizer: Tokenizer, *, truncation: bool, max_length: int | None) -> int:
    """The number of tokens of a text for which a window has room beside the special tokens.

    Raises:
        OptionError: With truncation: ``max_length`` leaves no room.
    """
    before, behind = tokenizer.text_frame
    window = tokenizer.max_length
    if truncation:
        check_max_length(tokenizer, max_length)
        window = min(window, max_length or window)
    return window - len(before) - len(behind)


def check_max_length(tokenizer: Tokenizer, max_length: int | None, *, pair: bool = False) -> None:
    """Refuse a limit that leaves no room for tokens of the text.

    Args:
        tokenizer: The tokenizer.
        max_length: Number of tokens to keep, special tokens included; None: the model's window.
        pair: Whether the text is a pair.

    Raises:
        OptionError: The special tokens alone are so many.
    """
    if max_length is None:
        return
    parts: Sequence[Sequence[int]] = tokenizer.text_frame
    if pair:
        frame = tokenizer.pair_frame()
        parts = (frame.before, frame.between, frame.after)
    special = sum(map(len, parts))
    if max_length <= special:
        raise OptionError(
            f"max_length is {max_length}, which leaves no room for the text: {special} tokens are "
            "special ones.",
            hint=f"Give a max_length of {special + 1} or more.",
        )


def cut_to(ids: list[int], room: int, model: str, *, truncation: bool) -> list[int]:
    """The tokens of a text, without its end where that is cut off.

    Args:
        ids: The tokens.
        room: Number of tokens for which there is room.
        model: Name of the model.
        truncation: Whether the end may be cut off.

    Raises:
        InputError: The text is longer, and may not be cut.
    """
    if len(ids) > room and not truncation:
        raise InputError(
            f"The text has {len(ids)} tokens; the window of {model!r} has room for {room}.",
            hint="Shorten it, or set truncation=True to cut off its end.",
        )
    return ids[: max(room, 0)]
