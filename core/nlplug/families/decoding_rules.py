"""Arguments of ``generate`` of transformers and of its pipelines, as decoding options."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Protocol, runtime_checkable

from nlplug.argument_rules import (
    Rule,
    UnlessStated,
    ignored,
    only,
    renamed,
    return_tensors,
    shown,
    when_default,
    when_none,
)
from nlplug.errors import OptionError

_NO_OBJECTS = only(None, [], hint="Use stop, bad_words or prefix_allowed_tokens_fn.")
_not_offered = partial(only, hint="This decoding method is not supported; leave it out.")
_DETAILS = only(None, False, hint="Use details=True of text generation.")

_UNSAID = {"do_sample": False, "temperature": 1.0, "num_beams": 1, "max_new_tokens": 20}
"""Defaults of a ``GenerationConfig`` where tasks have others."""


@runtime_checkable
class _GenerationConfig(Protocol):
    """That of transformers."""

    def to_diff_dict(self) -> dict[str, Any]: ...


def with_generation_config(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a call with the values of its ``generation_config``, which they override.

    See also `generation_defaults`.

    Raises:
        OptionError: It is neither a dict nor a ``GenerationConfig`` of transformers.
    """
    left = dict(arguments)
    given = left.pop("generation_config", None)
    if isinstance(given, _GenerationConfig):
        given = given.to_diff_dict()
    if given is None:
        return left
    if not isinstance(given, Mapping):
        raise OptionError(
            f"generation_config={shown(given)} is not available.",
            hint="Give its values as options.",
        )
    values = {
        name: value
        for name, value in given.items()
        if name != "transformers_version" and not name.startswith("_")
    }
    return values | left


def generation_defaults(
    arguments: Mapping[str, Any], options: Mapping[str, Any]
) -> dict[str, UnlessStated]:
    """What a ``GenerationConfig`` of transformers among the arguments of a call leaves unsaid.

    It stands in place of the defaults of a task, such as sampling or beams. A dict does not.

    Args:
        arguments: The arguments of the call.
        options: The options that were made of them.
    """
    if not isinstance(arguments.get("generation_config"), _GenerationConfig):
        return {}
    length = options.get("max_length")
    return {
        name: UnlessStated(value)
        for name, value in _UNSAID.items()
        if name not in options and (name != "max_new_tokens" or length is None)
    }


DECODING_RULES: Mapping[str, Rule] = {
    "return_tensors": return_tensors,
    "stop_sequence": renamed("stop"),
    "stop_strings": when_none([]),
    "temperature": when_none(1.0),
    "top_k": when_none(0),
    "top_p": when_none(1.0),
    "typical_p": when_none(1.0),
    "min_p": when_none(0.0),
    **dict.fromkeys(
        ("repetition_penalty", "no_repeat_ngram_size", "num_beams", "do_sample"), when_default
    ),
    **dict.fromkeys(
        ("num_return_sequences", "length_penalty", "early_stopping", "max_new_tokens"), when_default
    ),
    "min_new_tokens": when_default,
    **dict.fromkeys(("use_cache", "cache_implementation", "low_memory", "synced_gpus"), ignored),
    **dict.fromkeys(("pad_token_id", "bos_token_id", "return_text", "trust_remote_code"), ignored),
    "streamer": only(None, hint="Use the pipeline's stream() or pieces()."),
    **dict.fromkeys(
        ("compile_config", "disable_compile", "remove_invalid_values", "use_model_defaults"),
        ignored,
    ),
    **dict.fromkeys(
        (
            *("assistant_early_exit", "constraints", "custom_generate", "dola_layers"),
            *("exponential_decay_length_penalty", "force_words_ids", "is_assistant"),
            *("negative_prompt_ids", "negative_prompt_attention_mask"),
            *("num_assistant_tokens", "prompt_lookup_num_tokens"),
            *("renormalize_logits", "sequence_bias", "token_healing", "watermarking_config"),
        ),
        _not_offered(None, False),
    ),
    **dict.fromkeys(
        ("diversity_penalty", "encoder_no_repeat_ngram_size", "epsilon_cutoff", "eta_cutoff"),
        _not_offered(None, 0),
    ),
    "penalty_alpha": _not_offered(None, 0),
    **dict.fromkeys(
        ("encoder_repetition_penalty", "guidance_scale", "num_beam_groups"),
        _not_offered(None, 1),
    ),
    **dict.fromkeys(("cache_config", "prefill_chunk_size", "return_legacy_cache"), ignored),
    **dict.fromkeys(("return_dict_in_generate", "output_scores", "output_logits"), _DETAILS),
    **dict.fromkeys(
        ("output_attentions", "output_hidden_states"),
        only(None, False, hint="Leave it out: the graph does not return them."),
    ),
    "tokenizer": ignored,
    "skip_special_tokens": only(None, True, hint="Special tokens are always left out."),
    "return_type": only(None, hint="Leave it out: answers are texts."),
    **dict.fromkeys(
        ("assistant_model", "assistant_tokenizer"),
        only(None, hint="Leave it out: assisted decoding is not supported."),
    ),
    "stopping_criteria": _NO_OBJECTS,
    "logits_processor": _NO_OBJECTS,
}
"""Rules of `nlplug.task.Task.adapt` for arguments of ``generate`` and of its pipelines."""
