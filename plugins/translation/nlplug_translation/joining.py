"""A text made of parts that stay and of parts that the model writes."""

from __future__ import annotations

from collections.abc import Sequence

from nlplug.families.seq2seq import Again, Part, Segment
from nlplug_translation.sentences import is_spaced


def version(versions: Sequence[str], number: int) -> str:
    """One of some versions, the last if there are fewer; empty if there is none."""
    return versions[min(number, len(versions) - 1)] if versions else ""


def put_together(parts: Sequence[Part], again: Again) -> list[str]:
    """The versions of a text of which some parts stay and some are for the model.

    A space separates the output of the model from a neighboring word without one (in scripts that
    write spaces).
    """
    made = again([part for part in parts if isinstance(part, Segment)])
    versions = []
    for number in range(max(map(len, made), default=1)):
        texts = iter(made)
        text, ours = "", False
        for part in parts:
            written = isinstance(part, Segment)
            new = next(texts)[number] if isinstance(part, Segment) else part
            if new:
                apart = (written or ours) and is_spaced(text[-1:]) and is_spaced(new[0])
                text += " " * apart + new
                ours = written
        versions.append(text)
    return versions
