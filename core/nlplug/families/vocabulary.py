"""Checks whether a tokenizer is the one that a graph was trained with."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from nlplug.errors import BundleError
from nlplug.families.decoding_options import GenerationConfig
from nlplug.models.bundle import Bundle
from nlplug.runtime.tokenizer import Tokenizer

_ROLES = ("eos", "pad", "bos")
# Graphs have unused rows: up to a round number (Qwen2 271, phi-2 905), or for future tokens
# (DeepSeek 2,385 for 100,015 tokens). The limit is below the 5 % between cased and uncased BERT.
_SPARE = 1024
_SPARE_SHARE = 25
# Defaults that transformers writes into the config of a generating model. Models with these work,
# because their texts end at the maximum length. The padding token may have any id.
_DEFAULTS = {"eos": frozenset({1, 2, 3, 50256}), "bos": frozenset({0, 1, 2, 3, 50256})}
_HINT = "The tokenizer belongs to another model; copy or export both together."
# <s>, [SEP], <|im_end|>, __start__: special tokens, even if the tokenizer does not mark them.
_SPECIAL_FORM = re.compile(r"\A[<\[{|_].+[>\]}|_]")


def check_vocabulary(
    bundle: Bundle, tokenizer: Tokenizer, rows: int, *, needs_end: bool = False
) -> None:
    """Check by size and special tokens that the tokenizer belongs to the model.

    One matching special token is enough, since many models of the Hub have a wrong one.

    Args:
        bundle: The model.
        tokenizer: The tokenizer of the texts that the model generates.
        rows: Vocabulary size of the graph.
        needs_end: Whether the model needs a correct end-of-text token, so that a default of
            transformers in its config counts as a mismatch.

    Raises:
        BundleError: The tokenizer belongs to another model.
    """
    if not _of_one_size(tokenizer, rows):
        raise BundleError(
            f"The tokenizer of {bundle.name!r} has {tokenizer.size} tokens, but its graph has "
            f"{rows}.",
            hint=_HINT,
        )
    configs = GenerationConfig.of(bundle), GenerationConfig(bundle.config)
    names = bundle.repository.special_tokens
    found = []
    compared = False
    for role in _ROLES:
        said = _token_ids(configs, f"{role}_token_id", rows)
        own = tokenizer.token_id(names.get(role))
        if own is None or not said:
            continue
        if own in said:
            return
        compared = True
        explicit = needs_end or said.isdisjoint(_DEFAULTS.get(role, said))
        if explicit and all(_is_word(tokenizer, token, names) for token in said):
            found.append((role, min(said), f"its {role}_token is {names[role]!r} ({own})"))
    start = _token_ids(configs, "decoder_start_token_id", rows)
    if compared and start and all(_is_word(tokenizer, token, names) for token in start):
        found.append(("decoder_start", min(start), "it is not a special token"))
    if found:
        role, token, instead = found[0]
        raise BundleError(
            f"The config of {bundle.name!r} has the {role}_token_id {token}; in its tokenizer "
            f"this token is {tokenizer.token_text(token)!r}, but {instead}.",
            hint=_HINT,
        )


def _of_one_size(tokenizer: Tokenizer, rows: int) -> bool:
    # Reading the whole vocabulary takes time, so it is read only if the sizes do not match.
    spare = max(_SPARE, tokenizer.size // _SPARE_SHARE)
    if rows > tokenizer.size + spare:
        return rows <= max(tokenizer.vocabulary().values(), default=0) + spare  # ids with gaps
    if tokenizer.base_size > rows:
        words = set(tokenizer.vocabulary().values()) - set(tokenizer.added_tokens)
        return (
            max(words, default=0) < rows
        )  # BART's <mask> may have a higher id: no text contains it
    return True


def _token_ids(configs: Iterable[GenerationConfig], name: str, rows: int) -> frozenset[int]:
    """The token ids of an entry of the configs that are in the vocabulary of the graph."""
    return frozenset(
        token for config in configs for token in config.tokens(name) if 0 <= token < rows
    )


def _is_word(tokenizer: Tokenizer, token: int, names: Mapping[str, str]) -> bool:
    """Whether a token is an ordinary token of a text, not a special token."""
    if token in tokenizer.added_tokens:
        return False
    text = tokenizer.token_text(token)
    if text is None:
        return True
    written = tokenizer.decode([token], skip_special_tokens=False)
    special = text in names.values() or _SPECIAL_FORM.fullmatch(text) is not None
    return not special and bool(written.strip())
