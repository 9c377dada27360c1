"""The warning about texts that a limit ended, one for each batch."""

from __future__ import annotations

from nlplug.errors import warn


def warn_of_limit(count: int, limit: str, advice: str) -> None:
    """Warn of generated texts that ended before their end, if there are any.

    Args:
        count: Number of such texts.
        limit: At what they ended, such as ``max_new_tokens (20)``.
        advice: What to do, as a sentence.
    """
    if count:
        what = "A text" if count == 1 else f"{count:,} texts"
        warn(f"{what} ended at {limit}. {advice}", UserWarning)
