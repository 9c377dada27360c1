"""The forms in which a refused precision is tried again, cheapest first.

The first form that the gate accepts wins. Forms are ordered by size and speed of the graph: moving
scales costs nothing, more smoothing a few operators, 7-bit weights some accuracy of the weights,
products in float size and time, and weights that are only stored in int8 all of the speed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from nlplug.export.graph import GraphEditor
from nlplug.export.half import to_half
from nlplug.export.quantize import Quantization, quantize
from nlplug.export.repair.fold import fold
from nlplug.export.repair.sensitive import Sensitive, overflowing, ranked
from nlplug.export.repair.weight_only import weights_in_blocks, weights_in_half
from nlplug.export.smooth import Feeds, smooth
from nlplug.runtime.cpu import usable_cpus
from nlplug.runtime.session import build_session, session_options

_EXCLUDED = (1, 2, 4, 8)
_FOLD_TOLERANCE = 1e-3


class RepairClock:
    """The time that repairs may take, of all precisions together.

    Args:
        seconds: No repair starts after this time; 0 for no repairs.
    """

    def __init__(self, seconds: float) -> None:
        self._left = seconds
        self._since: float | None = None

    def __enter__(self) -> RepairClock:
        self._since = time.monotonic()
        return self

    def __exit__(self, *_: object) -> None:
        if self._since is not None:
            self._left -= time.monotonic() - self._since
            self._since = None

    def in_time(self) -> bool:
        """Whether time is left."""
        used = 0.0 if self._since is None else time.monotonic() - self._since
        return self._left > used


@dataclass(frozen=True)
class Form:
    """One way to make a precision.

    Attributes:
        name: What is done, for the table of attempts.
        build: Makes the graph.
    """

    name: str
    build: Callable[[], Any]


class Int8Forms:
    """The forms of int8, in the order to try them.

    Args:
        path: The float32 graph.
        settings: As configured.
        feeds: Real inputs for measuring activations.
        clock: Limits the ranking of products.

    Attributes:
        sensitive: The weights that lose most when only they are quantized, once they are ranked.
    """

    def __init__(
        self, path: Path, settings: Quantization, feeds: Sequence[Feeds], clock: RepairClock
    ) -> None:
        self._path = path
        self._feeds = feeds
        self._clock = clock
        self._asked = settings
        self._fine = replace(settings, per_channel=True, smooth=True)
        self.sensitive: list[Sensitive] = []

    def __iter__(self) -> Iterator[Form]:
        """Ranks the products, which takes time, only when they are needed."""
        asked, fine = self._asked, self._fine
        if asked != fine:
            yield Form("one scale per column, smoothed", partial(self._made, fine, folded=False))
        yield Form("scales moved out of outlier channels", partial(self._made, fine))
        yield Form(
            "scales moved, smoothing of all products", partial(self._made, fine, everywhere=True)
        )
        if asked.weight_bits > 7:
            seven = replace(fine, weight_bits=7)
            yield Form("scales moved, 7-bit weights", partial(self._made, seven))
        self.sensitive = ranked(_folded(self._path, self._feeds), self._feeds, self._clock.in_time)
        for count in _EXCLUDED:
            if count < len(self.sensitive):
                yield self._excluding(count)
        yield Form("weights stored as int8 in blocks of 32, arithmetic in float", self._stored)
        if self.sensitive:
            first = self.sensitive[0]
            yield Form(
                f"weights stored as int8 in blocks of 32, {first.layer} in float",
                partial(self._stored, frozenset([first.weight])),
            )

    def _excluding(self, count: int) -> Form:
        some = self.sensitive[:count]
        weights = [one.weight for one in some]
        kept = replace(self._fine, exclude=(*self._asked.exclude, *weights))
        names = ", ".join(one.layer for one in some[:2]) + (", ..." if count > 2 else "")
        products = "product" if count == 1 else "products"
        return Form(
            f"scales moved, the {count} most sensitive {products} in float ({names})",
            partial(self._made, kept),
        )

    def _made(
        self, settings: Quantization, *, everywhere: bool = False, folded: bool = True
    ) -> Any:
        model = _folded(self._path, self._feeds) if folded else onnx.load(str(self._path))
        if self._feeds:
            editor = GraphEditor(model)
            smooth(editor, self._feeds, everywhere=everywhere)
            model = editor.finish()
        return quantize(model, settings)

    def _stored(self, exclude: frozenset[str] = frozenset()) -> Any:
        return weights_in_blocks(_folded(self._path, self._feeds), exclude)


def fp16_forms(path: Path, gpu: Any, feeds: Sequence[Feeds]) -> Iterator[Form]:
    """The forms of fp16, in the order to try them.

    Args:
        path: The float32 graph for the CPU.
        gpu: The float32 graph that fp16 is made from.
        feeds: Real inputs for measuring activations.
    """
    balanced = _folded_model(gpu, feeds)
    if not overflowing(balanced, feeds):
        yield Form("scales moved out of outlier channels", lambda: to_half(balanced))
    large = overflowing(gpu, feeds)
    if large:
        worst = max(large, key=large.__getitem__)
        yield Form(
            f"float32 where numbers are above 65504 ({len(large)} of the operators; the largest, "
            f"{large[worst]:.3g}, at {worst})",
            lambda: to_half(gpu, keep=list(large)),
        )
    yield Form(
        "weights stored as fp16, arithmetic in float", lambda: weights_in_half(onnx.load(str(path)))
    )


def _folded(path: Path, feeds: Sequence[Feeds]) -> Any:
    return _folded_model(onnx.load(str(path)), feeds)


def _folded_model(model: Any, feeds: Sequence[Feeds]) -> Any:
    """A graph with balanced channels, or the graph itself if that changes its results."""
    if not feeds:
        return model
    before = onnx.ModelProto.FromString(model.SerializeToString())
    editor = GraphEditor(onnx.ModelProto.FromString(model.SerializeToString()))
    fold(editor, feeds)
    after = editor.finish()
    return after if _same(before, after, feeds[0]) else before


def _same(one: Any, two: Any, feed: Feeds) -> bool:
    first, second = (_run(model, feed) for model in (one, two))
    largest = max(1.0, max(float(np.abs(value).max()) for value in first))
    worst = max(
        float(np.abs(left - right).max()) for left, right in zip(first, second, strict=True)
    )
    return worst <= _FOLD_TOLERANCE * largest


def _run(model: Any, feed: Feeds) -> list[np.ndarray]:
    session = build_session(model.SerializeToString(), session_options(usable_cpus()))
    known = {item.name for item in session.get_inputs()}
    return list(session.run(None, {key: value for key, value in feed.items() if key in known}))
