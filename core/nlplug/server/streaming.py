"""Streamed answers: decoded in threads, read by an event loop."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, Any

from nlplug.errors import Overloaded
from nlplug.server.batching import shutting_down
from nlplug.server.containment import contained

if TYPE_CHECKING:
    from nlplug.pipelines import Pipeline
    from nlplug.runtime.answers import TextPiece
    from nlplug.server.metrics import Metrics
    from nlplug.task import TaskInput


class Stream:
    """One streamed answer, for the event loop in which it is created.

    The decoding never waits for its reader; the buffer is at most as long as the answer.

    Args:
        on_cancel: Called with the stream when it is cancelled.
    """

    def __init__(self, on_cancel: Callable[[Stream], None]) -> None:
        self._on_cancel = on_cancel
        self._loop = asyncio.get_running_loop()
        self._arrived: deque[TextPiece | Exception | None] = deque()
        self._wake = asyncio.Event()
        self._woken = False
        self._cancelled = False

    @property
    def cancelled(self) -> bool:
        """Whether no client waits for the answer any more."""
        return self._cancelled

    async def more(self) -> list[TextPiece]:
        """The pieces that arrived since the last call, at least one; empty after the last.

        Raises:
            Exception: The error that ended the decoding.
        """
        while not self._arrived:
            await self._wake.wait()
            self._wake.clear()
            self._woken = False  # before the pieces are taken, so that none is missed
        pieces: list[TextPiece] = []
        for _ in range(len(self._arrived)):
            arrived = self._arrived[0]
            if isinstance(arrived, Exception) and not pieces:
                raise arrived
            if arrived is None or isinstance(arrived, Exception):
                break  # the end stays, for the next call
            pieces.append(arrived)
            self._arrived.popleft()
        return pieces

    def cancel(self) -> None:
        """Stop the decoding before its next step; may be called from any thread."""
        self._cancelled = True
        self._on_cancel(self)

    def put(self, arrived: TextPiece | Exception | None) -> None:
        """Add a piece, an error or the end; may be called from any thread."""
        self._arrived.append(arrived)
        if self._woken:  # the reader has not begun to take what arrived
            return
        self._woken = True
        try:
            self._loop.call_soon_threadsafe(self._wake.set)
        except RuntimeError:  # the event loop has ended, and the reader with it
            self._cancelled = True


class Streams:
    """The streams of one model: a few are decoded in parallel, others wait in a queue.

    Streams neither wait for batches nor delay them. All methods except `start` are thread-safe.

    Args:
        name: Name of the model in messages and metrics.
        task: Name of its task in metrics.
        load: Returns the model when it is in memory.
        max_streams: Maximum number of answers decoded in parallel.
        max_queue: Maximum number of waiting streams.
        metrics: The metrics to update.
    """

    def __init__(
        self,
        name: str,
        load: Callable[[], Future[Pipeline]],
        *,
        task: str = "",
        max_streams: int,
        max_queue: int,
        metrics: Metrics,
    ) -> None:
        self.name = name
        self._load = load
        self._max_streams = max_streams
        self._max_queue = max_queue
        self._number = metrics.streams.labels(task, name)
        self._pool = ThreadPoolExecutor(max_streams, thread_name_prefix=f"nlplug-{name}-stream")
        self._lock = Lock()
        self._open: set[Stream] = set()
        self._waiting: set[Stream] = set()
        self._decoding: set[Future[None]] = set()
        self._closed = False

    def start(self, item: TaskInput, options: Mapping[str, Any]) -> Stream:
        """Start or queue an answer; call it in the event loop that reads the answer.

        Args:
            item: The checked input.
            options: The checked options of the request.

        Raises:
            Overloaded: The queue is full, or the server is shutting down.
        """
        stream = Stream(self._give_up)
        with self._lock:
            if self._closed:
                raise shutting_down()
            if len(self._open) >= self._max_streams + self._max_queue:
                raise Overloaded(
                    f"{self._max_queue} streams of the model {self.name!r} are waiting.",
                    hint="Try again in a moment, or start the server with a larger --max-queue.",
                )
            self._open.add(stream)
            self._waiting.add(stream)
            self._count()
            decoding = self._pool.submit(self._decode, stream, item, dict(options))
            self._decoding.add(decoding)
        decoding.add_done_callback(self._decoding.discard)
        return stream

    def close(self, *, by: float | None = None) -> bool:
        """Stop all streams and end the threads.

        Args:
            by: Deadline for the threads on the clock `time.monotonic`; None: no limit.

        Returns:
            Whether all threads ended.
        """
        with self._lock:
            self._closed = True
            streams = list(self._open)
        for stream in streams:
            stream.put(shutting_down())
            stream.cancel()
        self._pool.shutdown(wait=False)
        left = None if by is None else max(0.0, by - monotonic())
        return not wait(set(self._decoding), left).not_done

    def _decode(self, stream: Stream, item: TaskInput, options: dict[str, Any]) -> None:
        with self._lock:
            self._waiting.discard(stream)
        end: Exception | None = None
        try:
            with contained():
                self._hand_over(stream, item, options)
        except Exception as error:
            end = error
        finally:
            # Before the reader learns of the end: who has the whole answer finds its place free.
            with self._lock:
                self._open.discard(stream)
                self._count()
            stream.put(end)

    def _give_up(self, stream: Stream) -> None:
        """Free its place in the queue; a running stream frees its place after its last step."""
        with self._lock:
            if stream in self._waiting:
                self._waiting.remove(stream)
                self._open.remove(stream)
                self._count()

    def _hand_over(self, stream: Stream, item: TaskInput, options: dict[str, Any]) -> None:
        if stream.cancelled:
            return
        model = self._load().result()
        with closing(model.pieces(item, **options)) as pieces:
            for piece in pieces:
                if stream.cancelled:
                    return
                stream.put(piece)

    def _count(self) -> None:
        self._number.set(len(self._open))
