"""Whether a tokenizer is the one that a graph was trained with."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from nlplug.errors import BundleError
from nlplug.families.decoding_options import GenerationConfig
from nlplug.models.bundle import Bundle
from nlplug.runtime.tokenizer import Tokenizer

_ROLES = ("eos", "pad", "bos")
# Graphs have rows to spare: up to a round figure (Qwen2 271, phi-2 905), or for tokens to come
# (DeepSeek 2,385 to 100,015). Less than the 5 % between cased and uncased BERT.
_SPARE = 1024
_SPARE_SHARE = 25
# What transformers writes into the config of a model that makes text where nobody said otherwise;
# such models work all the same, as their texts end with their length. Their padding is anything.
_UNSAID = {"eos": frozenset({1, 2, 3, 50256}), "bos": frozenset({0, 1, 2, 3, 50256})}
_HINT = "The tokenizer belongs to another model; copy or export both together."
# <s>, [SEP], <|im_end|>, __start__: meant for something, whether or not the tokenizer says so.
_SPECIAL_FORM = re.compile(r"\A[<\[{|_].+[>\]}|_]")


def check_vocabulary(
    bundle: Bundle, tokenizer: Tokenizer, rows: int, *, needs_end: bool = False
) -> None:
    """Refuse a tokenizer of another model, by its size and by what its special tokens are.

    Only where nothing speaks for it: many models of the Hub are careless about one of these.

    Args:
        bundle: The model.
        tokenizer: That of the texts it writes.
        rows: Tokens that the graph knows.
        needs_end: Whether a model with a wrong end of text in its config is of no use, so that it
            is never a default that was left as it was.

    Raises:
        BundleError: It belongs to another model.
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
        said = _said(configs, f"{role}_token_id", rows)
        own = tokenizer.token_id(names.get(role))
        if own is None or not said:
            continue
        if own in said:
            return
        compared = True
        explicit = needs_end or said.isdisjoint(_UNSAID.get(role, said))
        if explicit and all(_is_word(tokenizer, token, names) for token in said):
            found.append((role, min(said), f"its {role}_token is {names[role]!r} ({own})"))
    start = _said(configs, "decoder_start_token_id", rows)
    if compared and start and all(_is_word(tokenizer, token, names) for token in start):
        found.append(("decoder_start", min(start), "that is no special token"))
    if found:
        role, token, instead = found[0]
        raise BundleError(
            f"The config of {bundle.name!r} has the {role}_token_id {token}; to its tokenizer this "
            f"is {tokenizer.token_text(token)!r}, and {instead}.",
            hint=_HINT,
        )


def _of_one_size(tokenizer: Tokenizer, rows: int) -> bool:
    # The whole vocabulary takes a moment, so it is looked at only where the sizes are odd.
    spare = max(_SPARE, tokenizer.size // _SPARE_SHARE)
    if rows > tokenizer.size + spare:
        return rows <= max(tokenizer.vocabulary().values(), default=0) + spare  # ids with gaps
    if tokenizer.base_size > rows:
        words = set(tokenizer.vocabulary().values()) - set(tokenizer.added_tokens)
        return max(words, default=0) < rows  # BART's <mask> may lie beyond: no text has it
    return True


def _said(configs: Iterable[GenerationConfig], name: str, rows: int) -> frozenset[int]:
    """What the configs say, less what no token of the graph can be."""
    return frozenset(
        token for config in configs for token in config.tokens(name) if 0 <= token < rows
    )


def _is_word(tokenizer: Tokenizer, token: int, names: Mapping[str, str]) -> bool:
    """Whether a token is one like any other, of which nobody would think that a text ends there."""
    if token in tokenizer.added_tokens:
        return False
    text = tokenizer.token_text(token)
    if text is None:
        return True
    written = tokenizer.decode([token], skip_special_tokens=False)
    special = text in names.values() or _SPECIAL_FORM.fullmatch(text) is not None
    return not special and bool(written.strip())
