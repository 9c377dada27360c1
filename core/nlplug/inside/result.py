"""What is found inside a model."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from nlplug.errors import BundleError, InputError, OptionError

if TYPE_CHECKING:
    from nlplug.models.bundle import Bundle

Part = Literal["attention", "probabilities", "neighbors"]
PARTS: tuple[Part, ...] = get_args(Part)
_DIGITS = 6
_MOST = 100


@dataclass(frozen=True)
class Request:
    """What to look for.

    Attributes:
        bundle: The model.
        parts: The names of what to look for.
        top: Number of alternatives of each generated token, and of neighbors of each token.
        window: Which window of a long text, from 1.
        given: Whether the caller named the parts; a part that the task does not have is then an
            error.
    """

    bundle: Bundle
    parts: frozenset[Part]
    top: int
    window: int
    given: bool = False

    @classmethod
    def of(
        cls, bundle: Bundle, parts: Collection[str] | str | None, top: int, window: int
    ) -> Request:
        """A request from the arguments of a call.

        Raises:
            OptionError: There is no such part, or a number is out of bounds.
        """
        names = PARTS if parts is None else (parts,) if isinstance(parts, str) else parts
        known: list[Part] = [part for part in PARTS if part in names]
        unknown = [name for name in names if name not in known]
        if unknown or not known:
            raise OptionError(
                f"parts is {parts!r}.", hint=f"Name some of: {', '.join(PARTS)}; or leave it out."
            )
        if not 1 <= top <= _MOST:
            raise OptionError(f"top is {top}.", hint=f"Give a whole number from 1 to {_MOST}.")
        if window < 1:
            raise OptionError(f"window is {window}.", hint="Give a whole number from 1 up.")
        return cls(bundle, frozenset(known), top, window, parts is not None)

    def lacks(self, part: Part) -> None:
        """Refuse a part that the task does not have, if the caller named it.

        Raises:
            OptionError: It was named.
        """
        if self.given and part in self.parts:
            raise OptionError(
                f"This task has no {part}: it does not generate text.", hint=f"Leave {part} out."
            )

    def place(self, windows: int) -> int:
        """The index of the window among those of a text.

        Raises:
            InputError: The text has no tokens.
            OptionError: It has fewer windows.
        """
        if not windows:
            raise InputError("The text has no tokens.", hint="Give at least one word.")
        if self.window > windows:
            raise OptionError(
                f"window is {self.window}, but the model reads this text in {windows}.",
                hint=f"Give a whole number from 1 to {windows}.",
            )
        return self.window - 1


@dataclass(frozen=True)
class TokenText:
    """A token: its id and its text."""

    id: int
    text: str


@dataclass(frozen=True)
class AttentionMap:
    """Attention weights: how much each query token reads from each key token.

    Attributes:
        name: ``self``; of a text-to-text model ``encoder``, ``decoder`` and ``cross``.
        queries: The tokens that read.
        keys: The tokens that are read.
        layers: For each layer float32 of shape (heads, queries, keys); each row sums to 1.
    """

    name: str
    queries: Sequence[TokenText]
    keys: Sequence[TokenText]
    layers: Sequence[np.ndarray]

    @property
    def weights(self) -> np.ndarray:
        """All layers as float32 of shape (layers, heads, queries, keys).

        Raises:
            BundleError: The layers differ in their number of heads, as after pruning.
        """
        heads = [len(layer) for layer in self.layers]
        if len(set(heads)) > 1:
            raise BundleError(
                f"The layers have {', '.join(map(str, heads))} heads.", hint="Use layers."
            )
        return np.stack(self.layers)

    def has(self, layer: int | None, head: int | None) -> bool:
        """Whether there is a layer with a head, from 1; None: any."""
        layers = self.layers if layer is None else self.layers[layer - 1 : layer]
        return bool(layers) and (head is None or all(0 < head <= len(one) for one in layers))

    def of(self, layer: int | None = None, head: int | None = None) -> np.ndarray:
        """The weights of one layer and head, (queries, keys); None: the mean of all.

        Args:
            layer: From 1; None for the mean of all layers.
            head: From 1; None for the mean of all heads.

        Raises:
            OptionError: There is no such layer or head.
        """
        layers = (
            self.layers if layer is None else [self.layers[_index("layer", layer, self.layers)]]
        )
        found = [
            one.mean(axis=0) if head is None else one[_index("head", head, one)] for one in layers
        ]
        mean: np.ndarray = np.mean(found, axis=0)
        return mean


@dataclass(frozen=True)
class Alternative(TokenText):
    """A token that could have followed, with its probability."""

    probability: float


@dataclass(frozen=True)
class TokenProbability(TokenText):
    """A generated token.

    ``probability`` is the model's own: the softmax of its logits, before temperature, penalties and
    other options. ``alternatives`` are the most likely tokens at this place, the best one first.
    """

    probability: float
    alternatives: Sequence[Alternative]


@dataclass(frozen=True)
class Neighbor(TokenText):
    """A token with a similar input embedding, and the cosine of the two."""

    cosine: float


@dataclass(frozen=True)
class TokenNeighbors(TokenText):
    """A token of the text with the tokens whose input embeddings are nearest."""

    neighbors: Sequence[Neighbor]


@dataclass(frozen=True)
class Inside:
    """What was found inside a model while it read a text.

    Attributes:
        tokens: The tokens of the window.
        window: Which window of the text, from 1.
        windows: Number of windows of the text.
        attention: Attention maps; empty if not asked for.
        probabilities: The generated tokens; empty if the task generates no text.
        neighbors: For each different token of the window its neighbors, without special tokens.
    """

    tokens: Sequence[TokenText]
    window: int
    windows: int
    attention: Sequence[AttentionMap] = ()
    probabilities: Sequence[TokenProbability] = ()
    neighbors: Sequence[TokenNeighbors] = field(default=())

    def with_head(self, layer: int | None, head: int | None) -> Sequence[AttentionMap]:
        """The attention maps that have a layer and a head, from 1; None: any.

        Raises:
            OptionError: There are maps, and none of them has it.
        """
        found = [one for one in self.attention if one.has(layer, head)]
        if self.attention and not found:
            self.attention[0].of(layer, head)  # raises
        return found

    def to_dict(self, *, layer: int | None = None, head: int | None = None) -> dict[str, Any]:
        """As plain values, for JSON.

        Attention maps that do not have the layer or the head are left out.

        Args:
            layer: Of the attention only this layer, from 1; None for all.
            head: Of the attention only this head, from 1; None for all.

        Raises:
            OptionError: No attention map has such a layer or head.
        """
        return {
            "tokens": [asdict(token) for token in self.tokens],
            "window": self.window,
            "windows": self.windows,
            "attention": [_map_of(one, layer, head) for one in self.with_head(layer, head)],
            "probabilities": [_rounded(asdict(one)) for one in self.probabilities],
            "neighbors": [_rounded(asdict(one)) for one in self.neighbors],
        }


def _map_of(found: AttentionMap, layer: int | None, head: int | None) -> dict[str, Any]:
    first = 1 if layer is None else _index("layer", layer, found.layers) + 1
    layers = found.layers if layer is None else [found.layers[first - 1]]
    kept = [one if head is None else one[[_index("head", head, one)]] for one in layers]
    return {
        "name": found.name,
        "queries": [asdict(token) for token in found.queries],
        "keys": [asdict(token) for token in found.keys],
        "first_layer": first,
        "first_head": head or 1,
        "layers": [_rounded(one.tolist()) for one in kept],
    }


def _index(name: str, number: int, among: Sequence[Any] | np.ndarray) -> int:
    if not 1 <= number <= len(among):
        raise OptionError(
            f"{name} is {number}.", hint=f"Give a whole number from 1 to {len(among)}."
        )
    return number - 1


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, _DIGITS)
    if isinstance(value, dict):
        return {name: _rounded(one) for name, one in value.items()}
    return [_rounded(one) for one in value] if isinstance(value, list | tuple) else value
