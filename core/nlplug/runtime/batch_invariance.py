"""Whether texts may share a batch without changing each other's answers."""

from __future__ import annotations

from nlplug.errors import BatchDependenceWarning, warn
from nlplug.models.signature import Signature
from nlplug.settings import load_settings


def may_share_batches(*signatures: Signature) -> bool:
    """Whether the texts of a model are run together.

    They are not if a graph takes scales from each batch and ``NLPLUG_BATCH_INVARIANT`` is set.
    Without the variable, a warning names such a graph.

    Args:
        signatures: What the graphs of the model declare.
    """
    dependent = next((item for item in signatures if item.scales_by_batch), None)
    if dependent is None:
        return True
    if load_settings().batch_invariant:
        return False
    warn(
        f"{dependent.source} quantizes each batch with one scale, so the other texts of a batch "
        "change the scores of a text. To run texts one at a time, which is slower, set "
        "NLPLUG_BATCH_INVARIANT=1. To fix the scales: nlplug models calibrate --help",
        BatchDependenceWarning,
    )
    return True
