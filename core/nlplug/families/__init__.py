"""The families of models: one package per kind of model; no other package names a family.

Each family has the modules `task`, `options` (inputs, options, answers), `model` or `runner`
(inference), `training` and `scoring`, and `export` if its graphs need an exporter of their own.
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
