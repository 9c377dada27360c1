"""The answers of one call while they are read, and how to cancel them."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from concurrent.futures import CancelledError
from contextlib import closing
from dataclasses import dataclass
from threading import Event
from typing import Any

from nlplug.text.foreign import ForeignTexts


@dataclass(frozen=True, slots=True)
class TextPiece:
    """Some text of an answer, as it comes.

    Attributes:
        text: What follows the pieces before; whole characters, and may be empty.
        finish: Why the answer ends with this piece: ``eos``, ``stop`` or ``length``; else None.
        tokens: How many tokens were decoded for the answer so far.
        ids: The tokens since the piece before, where the pieces come with the tokens. They may be
            several, for a character is never split, and what may be a stop text is held back.
        logprobs: Of each of these, where they were asked for.
        part: Number of the part of the answer that the text belongs to, such as a sentence, from 0.
    """

    text: str
    finish: str | None = None
    tokens: int = 0
    ids: tuple[int, ...] = ()
    logprobs: tuple[float, ...] = ()
    part: int = 0


class Answers(Iterator[Any]):
    """The answers of one call, in order; the work is done while they are read.

    Closing them ends the work, in the thread that reads them; `cancel` does it from any other.

    Args:
        steps: Gives the answers. It is called with an event that is set once nobody waits for
            them, which it checks again and again with `raise_if_cancelled`.

    Attributes:
        foreign: The inputs so far that are in a language which the model does not know.
        check: Called with each answer before it is returned.
    """

    def __init__(self, steps: Callable[[Event], Generator[Any, None, None]]) -> None:
        self.foreign = ForeignTexts()
        self.check: Callable[[Any], None] = _accept
        self._stop = Event()
        self._steps = steps(self._stop)

    def __next__(self) -> Any:
        """The next answer.

        Raises:
            CancelledError: They were cancelled.
        """
        answer = next(self._steps)
        self.check(answer)
        return answer

    def cancel(self) -> None:
        """End the work with the batches or tokens that are computed now; for any thread."""
        self._stop.set()

    def close(self) -> None:
        """End the work; for the thread that reads the answers."""
        self._stop.set()
        self._steps.close()


def _accept(answer: Any) -> None:
    """The check of answers that are not for callers of a pipeline."""


def raise_if_cancelled(stop: Event) -> None:
    """Raise if nobody waits for the answers any more.

    Raises:
        CancelledError: It is.
    """
    if stop.is_set():
        raise CancelledError


def texts_of(pieces: Generator[TextPiece, None, None]) -> Generator[str, None, None]:
    """The texts of pieces; closing this generator closes theirs."""
    with closing(pieces):
        for piece in pieces:
            if piece.text:
                yield piece.text
