"""Masked language models: bases for fine-tuning."""

from __future__ import annotations

from nlplug.families.family import Family

FAMILY = Family(
    name="masked_lm",
    auto_class="AutoModelForMaskedLM",
    exported_as="fill-mask",
    training="nlplug.families.masked_lm.training:MaskedRecipe",
    pretraining="nlplug.families.masked_lm.settings:MaskedPretrainConfig",
    architectures=("bert",),
)
