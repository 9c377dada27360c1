"""What a fast decoder graph says of itself."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from nlplug.errors import BundleError

METADATA_KEY = "nlplug.decoder"
"""Where the graph's metadata hold the description."""


@dataclass(frozen=True)
class DecoderSpec:
    """The shape of a decoder and of its cache.

    Attributes:
        layers: How many.
        kv_heads: Heads of keys and values.
        head_size: Numbers in a head.
        vocabulary: How many logits a position has.
        context: Most tokens that positions exist for.
        positions: Whether the graph has the input ``position_ids``.
        one_thread: Rows up to which a single thread makes a step quicker than several.
        lane_rows: Rows that a thread must have to itself to be quicker than all threads on all
            rows; 0 where it never is.
    """

    layers: int
    kv_heads: int
    head_size: int
    vocabulary: int
    context: int
    positions: bool
    one_thread: int = field(default=0, kw_only=True)
    lane_rows: int = field(default=0, kw_only=True)

    def to_json(self) -> str:
        """For the graph's metadata."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` wrote; members of later versions are passed over.

        Raises:
            BundleError: It is something else.
        """
        try:
            values: dict[str, Any] = json.loads(text)
            return cls(
                **{name: values[name] for name in cls.__dataclass_fields__ if name in values}
            )
        except (KeyError, TypeError, ValueError) as error:
            raise BundleError(
                f"The decoder's description cannot be read: {error}.",
                hint="Export the model again.",
            ) from error
