"""The answers of one call while they are read, and how to cancel them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import CancelledError
from contextlib import closing
from dataclasses import dataclass, field
from threading import Event
from typing import Any

from nlplug.errors import warn
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


@dataclass
class ShortTexts:
    """The generated texts of one call that ended at a limit, before their end.

    Attributes:
        found: Number of texts by the limit, such as ``max_new_tokens (20)``, and what to do.
    """

    found: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add(self, limit: str, advice: str) -> None:
        """Count a text; ``advice`` is a sentence."""
        self.found[limit, advice] += 1

    def take(self) -> ShortTexts:
        """Those that were counted so far; the count begins again."""
        taken, self.found = ShortTexts(self.found), Counter()
        return taken

    def messages(self) -> list[str]:
        """One line for each limit."""
        return [
            f"{'A text' if count == 1 else f'{count:,} texts'} ended at {limit}. {advice}"
            for (limit, advice), count in self.found.items()
        ]

    def warn(self) -> None:
        """Warn at the line of the caller, if there is such a text."""
        for message in self.messages():
            warn(message, UserWarning)


class Answers(Iterator[Any]):
    """The answers of one call, in order; the work is done while they are read.

    Closing them ends the work, in the thread that reads them; `cancel` does it from any other.

    Args:
        steps: Gives the answers. It is called with an event that is set once nobody waits for
            them, which it checks again and again with `raise_if_cancelled`.
        short: Where the steps count texts that end at a limit, before they give the answer.

    Attributes:
        foreign: The inputs so far that are in a language which the model does not know.
        short: The generated texts so far that ended before their end.
        check: Called with each answer before it is returned.
    """

    def __init__(
        self,
        steps: Callable[[Event], Generator[Any, None, None]],
        *,
        short: ShortTexts | None = None,
    ) -> None:
        self.foreign = ForeignTexts()
        self.short = short or ShortTexts()
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

    def warn(self) -> None:
        """Warn at the line of the caller of what was found in the inputs and answers so far."""
        self.foreign.warn()
        self.short.warn()

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
