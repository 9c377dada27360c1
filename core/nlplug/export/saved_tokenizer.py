"""Tokenizers of checkpoints: loaded without their code, and saved so that both stacks read them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from nlplug.export.pretrained import reading
from nlplug.extras import require
from nlplug.models.layout import SPECIAL_TOKENS_FILE, TOKENIZER_CONFIG_FILE, TOKENIZER_FILE

_GENERAL = "PreTrainedTokenizerFast"
"""The class of tokenizers without one of their own, as both versions of transformers read it."""

_FILES = (TOKENIZER_FILE, "*vocab*", "*.model", "*.spm", "*.bpe", "*.tiktoken", "*.codes")
"""Names of the files that hold a vocabulary, one of which a folder must have."""

_INPUTS = ["input_ids", "token_type_ids", "attention_mask"]


def read_tokenizer(name: str | Path, *, offline: bool = False, **settings: Any) -> Any:
    """The fast tokenizer of a checkpoint.

    Args:
        name: A folder or a Hub id.
        offline: Whether the network is switched off.
        settings: Further arguments of ``from_pretrained``.

    Returns:
        A ``transformers.PreTrainedTokenizerFast``.

    Raises:
        OSError: There is no such tokenizer.
        ValueError: It cannot be read, needs code of its repository, or transformers does not know
            it.
        MissingExtra: transformers is not installed.
    """
    transformers = require("transformers", "train", purpose="Loading a checkpoint")
    folder = Path(name)
    if folder.is_dir() and not any(any(folder.glob(pattern)) for pattern in _FILES):
        raise OSError(f"It has no tokenizer ({TOKENIZER_FILE}).")
    with reading("Its tokenizer cannot be read"):
        tokenizer = transformers.AutoTokenizer.from_pretrained(
            str(name), local_files_only=offline, trust_remote_code=False, use_fast=True, **settings
        )
    # transformers 5 makes a tokenizer without a vocabulary where a repository has none.
    if tokenizer.get_vocab().keys() <= {*tokenizer.all_special_tokens}:
        raise ValueError("Its tokenizer has no vocabulary.")
    # Where the files do not say what a model takes, transformers 5 leaves the token types out.
    if (
        type(tokenizer) is transformers.PreTrainedTokenizerFast
        and "model_input_names" not in tokenizer.init_kwargs
    ):
        tokenizer.model_input_names = _INPUTS
    return tokenizer


def save_tokenizer(tokenizer: Any, folder: Path) -> None:
    """Save a tokenizer with the files and the names that transformers 4 writes.

    Args:
        tokenizer: A ``transformers.PreTrainedTokenizerFast``.
        folder: The folder of the checkpoint.
    """
    tokenizer.save_pretrained(folder)
    path = folder / TOKENIZER_CONFIG_FILE
    settings = json.loads(path.read_bytes())
    if settings.get("tokenizer_class") == "TokenizersBackend":
        settings["tokenizer_class"] = _GENERAL
    more = {}
    if isinstance(settings.get("extra_special_tokens"), list):
        more["additional_special_tokens"] = settings.pop("extra_special_tokens")
    _write(path, settings | more)
    special = folder / SPECIAL_TOKENS_FILE
    if not special.exists():
        _write(special, tokenizer.special_tokens_map | more)


def _write(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
