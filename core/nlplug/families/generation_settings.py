"""Settings of ``generation_config.json`` with which transformers would write other texts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nlplug.argument_rules import shown
from nlplug.errors import BundleError

_NEUTRAL: Mapping[str, Any] = {
    **dict.fromkeys(
        (
            *("constraints", "dola_layers", "exponential_decay_length_penalty"),
            *("force_words_ids", "sequence_bias", "watermarking_config"),
        )
    ),
    **dict.fromkeys(("encoder_repetition_penalty", "guidance_scale", "num_beam_groups"), 1),
    **dict.fromkeys(
        ("diversity_penalty", "encoder_no_repeat_ngram_size", "epsilon_cutoff", "eta_cutoff"), 0
    ),
    **dict.fromkeys(("penalty_alpha", "token_healing"), 0),
}
"""Settings that change texts and are not offered, with the value that changes nothing."""


def check_settings(values: Mapping[str, Any], name: str) -> None:
    """Refuse settings that change texts and are not offered.

    Args:
        values: The generation settings of a model.
        name: The name of the model.

    Raises:
        BundleError: There is one; the message names it.
    """
    for setting, neutral in _NEUTRAL.items():
        value = values.get(setting)
        if value is not None and value != neutral and value not in ([], {}):
            raise BundleError(
                f"The generation settings of {name!r} have {setting}={shown(value)}, which is "
                "not supported.",
                hint="To generate texts without it, remove it from generation_config.json, or, if "
                "there is no such file, from config.json.",
            )
