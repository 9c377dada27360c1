"""The tokenizer of a checkpoint against its embeddings, its files, and its configuration."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from nlplug.export.preflight.findings import CheckpointFinding
from nlplug.models.layout import first_position_of

_RESTORE = "Use the tokenizer files that the model was trained with."
_CASED = 10
"""Number of pieces in Latin letters from which their case says something."""
_CAPITAL = 0.1
"""Share of the pieces in Latin letters that a vocabulary of lower-cased texts never reaches."""
_LARGE, _LEAST = 1000, 0.9
"""Rows of a table from which its tokens are counted, and the share of rows that has tokens."""
_UNKNOWN = 0.3
_TOKENS = 200
"""Fewer tokens say too little about a vocabulary."""
_SHORTEST_WINDOW = 16
_IGNORE_PADDING = frozenset(
    {"albert", "bert", "deberta", "deberta-v2", "distilbert", "electra", "modernbert"}
)
"""Types whose models read the attention mask only."""


def check_tokenizer(
    tokenizer: Any, model: Any, folder: Path | None, texts: Sequence[str]
) -> list[CheckpointFinding]:
    """Compare a tokenizer with the model and with the other files of its folder.

    Args:
        tokenizer: A fast tokenizer of transformers.
        model: The loaded model; ``pad_token_id`` of its configuration is corrected where the model
            does not compute with it.
        folder: The folder of the checkpoint; None for a model of the Hub.
        texts: Texts that the user gave, which the tokenizer should know.
    """
    found = [
        *tokens_beyond(tokenizer, model),
        *_short(tokenizer, model),
        *_padding(tokenizer, model),
        *_case(tokenizer),
        *_unknown(tokenizer, texts),
        *_window(tokenizer, model),
    ]
    return found + (list(_vocabulary_files(folder)) if folder is not None else [])


def token_ids(tokenizer: Any, texts: Sequence[str], *, special: bool = True) -> list[list[int]]:
    """The tokens of texts, without padding.

    Args:
        tokenizer: A fast tokenizer of transformers.
        texts: The texts.
        special: Whether to add the special tokens.
    """
    encoded = tokenizer.backend_tokenizer.encode_batch(list(texts), add_special_tokens=special)
    return [
        [one for one, real in zip(row.ids, row.attention_mask, strict=True) if real]
        for row in encoded
    ]


def tokens_beyond(tokenizer: Any, model: Any) -> Iterator[CheckpointFinding]:
    """Tokens without a row in the embeddings, on which the model cannot compute."""
    table = model.get_input_embeddings()
    if table is None:
        return
    rows = int(table.weight.shape[0])
    outside = {token: at for token, at in tokenizer.get_vocab().items() if at >= rows}
    if outside:
        token = min(outside, key=outside.__getitem__)
        yield CheckpointFinding(
            "tokenizer",
            f"The tokenizer has {len(outside)} tokens whose ids are beyond the {rows} rows of the "
            f"embeddings, the first is {token!r} with the id {outside[token]}.",
            f"{_RESTORE} If tokens were added, call resize_token_embeddings() and train.",
        )


def _short(tokenizer: Any, model: Any) -> Iterator[CheckpointFinding]:
    """A vocabulary that ends long before the embeddings; some tables are a little longer."""
    table = model.get_input_embeddings()
    rows = 0 if table is None else int(table.weight.shape[0])
    if rows >= _LARGE and len(tokenizer) < _LEAST * rows:
        yield CheckpointFinding(
            "tokenizer",
            f"The tokenizer has {len(tokenizer):,} tokens, and the embeddings have {rows:,} rows: "
            "its vocabulary may be truncated.",
            _RESTORE,
            fatal=False,
        )


def _padding(tokenizer: Any, model: Any) -> Iterator[CheckpointFinding]:
    config = model.config
    given, own = getattr(config, "pad_token_id", None), tokenizer.pad_token_id
    if given is None or own is None or given == own:
        return
    computes = first_position_of(config.to_dict()) > 0 or (
        not config.is_encoder_decoder and config.model_type not in _IGNORE_PADDING
    )
    text = (
        f"pad_token_id is {given} in config.json, but the tokenizer pads with {own} "
        f"({tokenizer.pad_token!r})"
    )
    if computes:
        yield CheckpointFinding(
            "tokenizer",
            f"{text}, and models of the type {config.model_type} compute with this id.",
            f"Set pad_token_id to {own} in config.json.",
        )
        return
    config.pad_token_id = own
    yield CheckpointFinding("tokenizer", f"{text}; the bundle has {own}.", fatal=False, mended=True)


def _case(tokenizer: Any) -> Iterator[CheckpointFinding]:
    """A vocabulary without capital letters needs a tokenizer that lower-cases, if it can.

    A tokenizer that lower-cases never finds the pieces with capital letters.
    """
    special = set(tokenizer.all_special_tokens) | set(tokenizer.get_added_vocab())
    pieces = [piece for piece in tokenizer.get_vocab() if piece not in special]
    # By ASCII letters: byte-level vocabularies write a space as a capital letter.
    capital = [piece for piece in pieces if any("A" <= char <= "Z" for char in piece)]
    latin = [piece for piece in pieces if any("a" <= char <= "z" for char in piece)]
    normalizer = tokenizer.backend_tokenizer.normalizer
    lowers = normalizer is not None and normalizer.normalize_str("ABC") == "abc"
    if len(latin) < _CASED:
        return
    if lowers and len(capital) >= max(_CASED, _CAPITAL * len(latin)):
        yield CheckpointFinding(
            "tokenizer",
            f"{len(capital):,} of the {len(pieces):,} tokens have capital letters, such as "
            f"{capital[0]!r}, but the tokenizer lower-cases texts, so it never finds them.",
            "Set do_lower_case to false in tokenizer_config.json (and lowercase in the normalizer "
            "of tokenizer.json).",
        )
    if "do_lower_case" not in tokenizer.init_kwargs or capital:
        return
    if not lowers:
        yield CheckpointFinding(
            "tokenizer",
            f"None of the {len(pieces)} tokens has a capital letter, but the tokenizer does not "
            "lower-case texts, so words with capitals become unknown tokens.",
            "Set do_lower_case to true in tokenizer_config.json (and lowercase in the normalizer "
            "of tokenizer.json).",
        )


def _unknown(tokenizer: Any, texts: Sequence[str]) -> Iterator[CheckpointFinding]:
    unknown = tokenizer.unk_token_id
    if unknown is None or not texts:
        return
    ids = [one for row in token_ids(tokenizer, texts, special=False) for one in row]
    share = ids.count(unknown) / max(1, len(ids))
    if len(ids) >= _TOKENS and share > _UNKNOWN:
        yield CheckpointFinding(
            "tokenizer",
            f"{share:.0%} of the tokens of the rows are unknown ({tokenizer.unk_token!r}).",
            f"{_RESTORE} If they are right, the rows are in a language that the model does not "
            "know.",
        )


def _window(tokenizer: Any, model: Any) -> Iterator[CheckpointFinding]:
    positions = getattr(model.config, "max_position_embeddings", None)
    window = tokenizer.model_max_length
    if type(positions) is int and window < _SHORTEST_WINDOW and positions >= 2 * window:
        yield CheckpointFinding(
            "tokenizer",
            f"model_max_length is {window} in tokenizer_config.json, but the model has "
            f"{positions} positions.",
            "Set model_max_length to the window that the model was trained with.",
        )


def _vocabulary_files(folder: Path) -> Iterator[CheckpointFinding]:
    """``tokenizer.json`` against the vocabulary and the settings in the same folder."""
    path = folder / "tokenizer.json"
    if not path.is_file():
        return
    fast = json.loads(path.read_bytes())
    vocabulary = (fast.get("model") or {}).get("vocab")
    if isinstance(vocabulary, dict):
        for name, other in _other_vocabularies(folder):
            moved = [token for token, at in other.items() if vocabulary.get(token, at) != at]
            if moved:
                token = moved[0]
                yield CheckpointFinding(
                    "tokenizer",
                    f"tokenizer.json and {name} give {len(moved)} tokens other ids: {token!r} has "
                    f"{vocabulary[token]} and {other[token]}.",
                    _RESTORE,
                )
    settings = folder / "tokenizer_config.json"
    asked = json.loads(settings.read_bytes()) if settings.is_file() else {}
    normalizer = fast.get("normalizer") or {}
    one, two = asked.get("do_lower_case"), normalizer.get("lowercase")
    if isinstance(one, bool) and isinstance(two, bool) and one != two:
        yield CheckpointFinding(
            "tokenizer",
            f"do_lower_case is {json.dumps(one)} in tokenizer_config.json, but lowercase is "
            f"{json.dumps(two)} in tokenizer.json.",
            "Set both to what the model was trained with.",
        )


def _other_vocabularies(folder: Path) -> Iterator[tuple[str, dict[str, int]]]:
    words, pieces = folder / "vocab.txt", folder / "vocab.json"
    if words.is_file():
        lines = words.read_text(encoding="utf-8").splitlines()
        yield words.name, {line: at for at, line in enumerate(lines)}
    if pieces.is_file():
        found = json.loads(pieces.read_bytes())
        if isinstance(found, dict):
            yield pieces.name, {key: at for key, at in found.items() if type(at) is int}
