"""From tokens to text as they come: no character is split, no stop string slips through."""

from __future__ import annotations

from collections.abc import Callable, Sequence

_UNFINISHED = "\ufffd"
# Enough for a tokenizer to see that its first new token does not start a text.
CONTEXT = 8


class TextStream:
    """The text of one row, token by token.

    A token may hold a part of a character only, and what a token says may hang on its neighbours;
    so each time the last two stretches of tokens are decoded together, and nothing is given out
    that ends in the middle of a character or might become a stop string.

    Args:
        decode: From token ids to text, as ``tokenizers.Tokenizer.decode``.
        context: Tokens before the first new one, whose text is not given out.
        stop_strings: Texts that end the row; neither they nor what follows is given out.

    Attributes:
        stopped: The stop string that was met, or None.
    """

    def __init__(
        self,
        decode: Callable[[list[int]], str],
        *,
        context: Sequence[int] = (),
        stop_strings: Sequence[str] = (),
    ) -> None:
        self._decode = decode
        self._ids = list(context)[-CONTEXT:]
        self._start = 0
        self._given = len(self._ids)
        self._stops = tuple(stop for stop in stop_strings if stop)
        self._held = ""
        self.stopped: str | None = None

    def push(self, token: int) -> str:
        """Take a token; returns the text that is certain now, often none."""
        if self.stopped is not None:
            return ""
        self._ids.append(token)
        return self._release(self._decoded(final=False), final=False)

    def finish(self) -> str:
        """The text that was held back, once no token follows."""
        if self.stopped is not None:
            return ""
        return self._release(self._decoded(final=True), final=True)

    def _decoded(self, *, final: bool) -> str:
        before = self._decode(self._ids[self._start : self._given])
        after = self._decode(self._ids[self._start :])
        if len(after) <= len(before) or (after.endswith(_UNFINISHED) and not final):
            return ""
        self._start, self._given = self._given, len(self._ids)
        return after[len(before) :]

    def _release(self, text: str, *, final: bool) -> str:
        text = self._held + text
        found = [(place, stop) for stop in self._stops if (place := text.find(stop)) >= 0]
        if found:
            place, self.stopped = min(found)
            self._held = ""
            return text[:place]
        keep = 0 if final else max((_overlap(text, stop) for stop in self._stops), default=0)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]


def _overlap(text: str, stop: str) -> int:
    """How many characters at the end of a text may be the beginning of a stop string."""
    longest = min(len(text), len(stop) - 1)
    return next((size for size in range(longest, 0, -1) if text.endswith(stop[:size])), 0)
