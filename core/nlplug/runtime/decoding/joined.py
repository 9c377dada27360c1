"""Continuous batching: texts of different calls are decoded together, joined at each step.

Each call runs its own loop, with its own options, in its own thread; only the steps of the graph
are shared. A call that comes to its next step waits for the others of its batch, and whichever
thread comes last runs the step for all. So nothing is handed to another thread while a call is
alone, and calls join and leave between two steps. A row is computed by itself, so its tokens are
the same whether or not it is alone.

A call that does not come to its next step in time, as the reader of a stream may pause, leaves the
batch with a copy of its rows and joins again with its next step.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from threading import Condition, Lock
from time import monotonic
from typing import Any

import numpy as np

from nlplug.runtime.decoding.decoder import Decoder, DecoderSpec, Decoding
from nlplug.runtime.decoding.fast import FastCausalDecoding, FastDecoder
from nlplug.runtime.decoding.ranking import Ranking

_ROWS = 32
"""Maximum number of rows of a batch; further calls decode alone."""
_PATIENCE = 0.005
"""Seconds that a step waits for a call, or as long as the step before took if that is longer."""


class JoinedDecoder:
    """A causal model in the fast form whose decodings join each other's steps.

    Args:
        decoder: The model.

    Attributes:
        lock: Guards the batch and its members.
        batch: The calls that are decoded together.
    """

    def __init__(self, decoder: FastDecoder) -> None:
        self._decoder = decoder
        self.lock = Lock()
        self.batch = RunningBatch(decoder.session, self.lock)

    @property
    def spec(self) -> DecoderSpec:
        """See `Decoder.spec`."""
        return self._decoder.spec

    @property
    def path(self) -> Path:
        """See `Decoder.path`."""
        return self._decoder.path

    def decoder_prompts(self, prompts: Sequence[Sequence[int]]) -> Sequence[Sequence[int]]:
        """See `Decoder.decoder_prompts`."""
        return self._decoder.decoder_prompts(prompts)

    def start(
        self, prompts: Sequence[Sequence[int]], *, room: int = 0, copies: int = 1
    ) -> Decoding:
        """See `Decoder.start`. Rows that are computed by several threads do not join others."""
        decoding = self._decoder.start(prompts, room=room, copies=copies)
        if isinstance(decoding, FastCausalDecoding):
            return JoinedDecoding(self, decoding)
        return decoding


class JoinedDecoding:
    """The rows of one call; see `Decoding`. Made by `JoinedDecoder.start`.

    Args:
        owner: The model.
        decoding: The rows, which no other call has a part in.

    Attributes:
        decoding: What holds the rows: a decoding of their own, or that of a batch.
        places: Their numbers in it; None if it has no other rows, and these in order.
        batch: The batch, if they are in one.
        posted: The tokens of the step that the call waits for.
        error: The error of the last step.
        count: Number of tokens to rank.
    """

    def __init__(self, owner: JoinedDecoder, decoding: FastCausalDecoding) -> None:
        self._owner = owner
        self._rows = decoding.rows
        self.decoding = decoding
        self.places: np.ndarray | None = None
        self.batch: RunningBatch | None = None
        self.posted: np.ndarray | None = None
        self.error: BaseException | None = None
        self.count = 1

    @property
    def rows(self) -> int:
        """See `Decoding.rows`."""
        return self._rows

    @property
    def lengths(self) -> np.ndarray:
        """See `Decoding.lengths`."""
        with self._owner.lock:
            return self._own(self.decoding.lengths)

    @property
    def logits(self) -> np.ndarray:
        """See `Decoding.logits`."""
        with self._owner.lock:
            return self._own(self.decoding.logits)

    @property
    def next_tokens(self) -> np.ndarray:
        """See `Decoding.next_tokens`."""
        with self._owner.lock:
            return self._own(self.decoding.next_tokens)

    @property
    def sound(self) -> np.ndarray:
        """See `Decoding.sound`."""
        with self._owner.lock:
            return self._own(self.decoding.sound)

    @property
    def ranking(self) -> Ranking | None:
        """See `Decoding.ranking`; another call of the batch may have asked for more tokens."""
        with self._owner.lock:
            found = self.decoding.ranking
            if found is None or found.tokens.shape[1] < self.count:
                return None
            return Ranking(
                self._own(found.logits)[:, : self.count],
                self._own(found.tokens)[:, : self.count],
                self._own(found.shares),
                self._own(found.peaks),
            )

    def rank(self, count: int) -> bool:
        """See `Decoding.rank`."""
        self.count = count
        return True

    def step(self, tokens: np.ndarray) -> None:
        """See `Decoding.step`; the rows join a batch if they are in none."""
        with self._owner.lock:
            batch = self._owner.batch
            if self.batch is batch or batch.rows + self._rows <= _ROWS:
                batch.step(self, tokens)
                return
        self.decoding.rank(self.count)
        self.decoding.step(tokens)

    def keep(self, rows: Sequence[int] | np.ndarray) -> np.ndarray:
        """See `Decoding.keep`."""
        kept = np.asarray(rows)
        with self._owner.lock:
            if self.batch is None:
                kept = self.decoding.keep(kept)
            else:
                self.batch.keep(self, kept)
            self._rows = len(kept)
        return kept

    def follow(self, parents: np.ndarray) -> None:
        """See `Decoding.follow`."""
        with self._owner.lock:
            if self.places is not None:
                whole = np.arange(self.decoding.rows)
                whole[self.places] = self.places[parents]
                parents = whole
            self.decoding.follow(parents)

    def close(self) -> None:
        """See `Decoding.close`."""
        with self._owner.lock:
            if self.batch is not None:
                self.batch.leave(self)

    def _own(self, values: np.ndarray) -> np.ndarray:
        return values if self.places is None else values[self.places]


class RunningBatch:
    """Calls that run their steps together. All methods are called with the lock held.

    While the graph runs, all calls whose rows it computes are waiting in `step`. So whoever is not
    waiting may change the rows.

    Args:
        session: The ``InferenceSession`` for steps of several calls.
        lock: The lock of the model.
    """

    def __init__(self, session: Any, lock: Lock) -> None:
        self._session = session
        self._lock = lock
        self._changed = Condition(lock)
        self._members: list[JoinedDecoding] = []
        self._arrivals: list[JoinedDecoding] = []
        self._running = False
        self._deadline = 0.0

    @property
    def rows(self) -> int:
        """Number of rows, including those that join with the next step."""
        return sum(member.rows for member in (*self._members, *self._arrivals))

    def step(self, member: JoinedDecoding, tokens: np.ndarray) -> None:
        """Run a step for a member together with those of the others; new members join.

        Raises:
            Exception: The error of the graph.
        """
        if member.batch is None:
            member.batch = self
            self._arrivals.append(member)
        member.posted = tokens
        # The last caller runs the step, so waiting callers need no notice of each new caller.
        while member.posted is not None:
            left = None if self._running else self._left()
            if self._running or left:
                self._changed.wait(left)
            else:
                self._run()
        if member.error is not None:
            raise member.error

    def keep(self, member: JoinedDecoding, rows: np.ndarray) -> None:
        """Remove all rows of a member but these."""
        places = self._places(member)
        self._remove(np.delete(places, rows), {id(member): places[rows]})

    def leave(self, member: JoinedDecoding) -> None:
        """Remove a member, which may have been interrupted while it waited for a step."""
        while self._running and member in self._members:
            self._changed.wait()
        member.batch = member.posted = None
        if member in self._arrivals:
            self._arrivals.remove(member)
        elif member in self._members:
            self._members.remove(member)
            self._remove(self._places(member), {})
            # Others may have waited for this one only.
            self._changed.notify_all()

    def _left(self) -> float:
        """Seconds that the next step still waits for members."""
        if all(member.posted is not None for member in self._members):
            return 0.0
        return max(0.0, self._deadline - monotonic())

    def _run(self) -> None:
        """Run a step in the calling thread for all members that wait for it."""
        for member in [member for member in self._members if member.posted is None]:
            self._let_go(member)
        while self._arrivals:
            member = self._arrivals.pop(0)
            try:
                self._admit(member)
            except Exception as error:  # there is no memory for its rows
                member.posted, member.error, member.batch = None, error, None
        members, decoding = self._members, self._members[0].decoding
        tokens = self._tokens(decoding.rows)
        decoding.rank(max(member.count for member in members))
        self._running = True
        self._lock.release()
        failure: BaseException | None = None
        started = monotonic()
        try:
            decoding.step(tokens)
        except BaseException as error:
            failure = error
        ended = monotonic()
        self._lock.acquire()
        self._running = False
        self._deadline = ended + max(_PATIENCE, ended - started)
        for member in members:
            member.posted, member.error = None, failure
        if failure is not None:  # it is unknown what the rows hold
            for member in members:
                member.batch = None
            self._members = []
        if len(members) + len(self._arrivals) > 1:
            self._changed.notify_all()

    def _tokens(self, rows: int) -> np.ndarray:
        """The next token of each row."""
        tokens = np.empty(rows, np.int64)
        for member in self._members:
            if member.posted is not None:  # as it is with all of them
                tokens[self._places(member)] = member.posted
        return tokens

    def _admit(self, member: JoinedDecoding) -> None:
        """Add the rows of a call; those of the first are taken as they are."""
        if self._members:
            decoding = self._members[0].decoding
            for other in self._members:
                other.places = self._places(other)
            before = decoding.rows
            decoding.add(member.decoding)
            decoding.run_in(self._session)
            member.places = np.arange(before, decoding.rows)
            member.decoding = decoding
        self._members.append(member)

    def _let_go(self, member: JoinedDecoding) -> None:
        """Give a member that does not come a copy of its rows."""
        places = self._places(member)
        self._members.remove(member)
        if member.places is not None:
            member.decoding = member.decoding.take(places)
        self._remove(places, {})
        member.batch = member.places = None

    def _places(self, member: JoinedDecoding) -> np.ndarray:
        return np.arange(member.rows) if member.places is None else member.places

    def _remove(self, places: np.ndarray, changed: dict[int, np.ndarray]) -> None:
        """Remove rows, whose members are gone or keep other rows.

        Args:
            places: Numbers of the rows.
            changed: From the ids of members to the rows that they keep.
        """
        if not self._members:
            return
        decoding = self._members[0].decoding
        kept = np.delete(np.arange(decoding.rows), places)
        moved = np.empty(decoding.rows, np.int64)
        moved[decoding.keep(kept)] = np.arange(len(kept))
        for member in self._members:
            member.places = moved[changed.get(id(member), self._places(member))]


def joined(decoder: Decoder) -> Decoder:
    """A decoder whose calls are decoded together, if that is faster.

    It is where a step is long because it reads many weights, which it then does once for all rows.
    A small model, whose weights stay in the caches of a core, decodes a row fastest with a thread
    of its own; a plain graph pads all rows to the longest one.
    """
    if isinstance(decoder, FastDecoder) and not decoder.spec.one_thread:
        return JoinedDecoder(decoder)
    return decoder
