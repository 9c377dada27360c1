"""The families of models: one package for each kind of model, and the only place that knows it.

Each family has `task` (inputs, options, answers), `model` (from inputs to the graph and back),
`training`, `scoring`, and `export` where its graphs are built in a way of their own.
"""

from __future__ import annotations

BUILT_IN = (
    "nlplug.families.causal_lm:FAMILY",
    "nlplug.families.masked_lm:FAMILY",
    "nlplug.families.seq2seq:FAMILY",
    "nlplug.families.sequence_classification:FAMILY",
    "nlplug.families.span_extraction:FAMILY",
    "nlplug.families.token_classification:FAMILY",
)
"""The records of the families that come with nlplug, as ``module:name``."""
