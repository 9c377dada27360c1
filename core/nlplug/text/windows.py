"""How a text that is longer than the model's window is covered by overlapping windows."""

from __future__ import annotations

from nlplug.errors import OptionError


def window_spans(tokens: int, room: int, stride: int = 0) -> list[slice]:
    """The windows that cover a text, in order; at least one.

    Every window but the last holds ``room`` tokens, and each begins ``room - stride`` tokens after
    the one before it.

    Args:
        tokens: Tokens of the text, without special tokens.
        room: Tokens of text that fit into a window.
        stride: Tokens that neighboring windows share.

    Raises:
        OptionError: The stride leaves no room for new tokens in a window.
    """
    if tokens <= room:
        return [slice(0, tokens)]
    if stride >= room:
        raise OptionError(
            f"stride is {stride}, but a window has room for {max(room, 0)} tokens of text.",
            hint=f"Give a stride from 0 to {room - 1}."
            if room > 0
            else "Use a model with a longer window.",
        )
    step = room - stride
    return [slice(begin, min(begin + room, tokens)) for begin in range(0, tokens - stride, step)]
