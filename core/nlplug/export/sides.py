"""The files of a bundle that stand beside its graphs: config and tokenizer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from nlplug.errors import OptionError
from nlplug.models.layout import TARGET_TOKENIZER_FILE, window_of

_TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")


def write_sides(
    model: Any,
    tokenizer: Any,
    folder: Path,
    *,
    max_length: int | None = None,
    target_tokenizer: Any = None,
) -> None:
    """Write a model's config and tokenizer in the layout of a bundle.

    Args:
        model: A ``transformers.PreTrainedModel``.
        tokenizer: Its fast tokenizer.
        folder: The folder of the bundle.
        max_length: The window in tokens; None for the model's own.
        target_tokenizer: The ``tokenizers.Tokenizer`` of what the model writes, where that is
            another.

    Raises:
        OptionError: ``max_length`` is above the model's window.
    """
    tokenizer.save_pretrained(folder / "tokenizer")
    for name in _TOKENIZER_FILES:
        if (folder / "tokenizer" / name).is_file():
            (folder / "tokenizer" / name).rename(folder / name)
    for left in (folder / "tokenizer").iterdir():
        left.unlink()
    (folder / "tokenizer").rmdir()
    if target_tokenizer is not None:
        target_tokenizer.save(str(folder / TARGET_TOKENIZER_FILE))
    settings = json.loads(model.config.to_json_string(use_diff=True))
    settings["architectures"] = [type(model).__name__]
    settings.pop("_name_or_path", None)
    _write_json(folder / "config.json", settings)
    tokenizer_config = json.loads((folder / "tokenizer_config.json").read_bytes())
    window = window_of(settings, tokenizer_config)
    if max_length is not None:
        if max_length > window:
            raise OptionError(
                f"max_length is {max_length}, but the model's window is {window} tokens.",
                hint=f"Give at most {window}.",
            )
        window = max_length
    for name in ("name_or_path", "tokenizer_file"):  # folders of this machine
        tokenizer_config.pop(name, None)
    # Stated here too, so that other programs cut texts where this one does.
    tokenizer_config["model_max_length"] = window
    _write_json(folder / "tokenizer_config.json", tokenizer_config)
    if model.can_generate():
        text = model.generation_config.to_json_string(use_diff=True)
        (folder / "generation_config.json").write_text(text, encoding="utf-8")


def _write_json(path: Path, value: Any) -> None:
    text = json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True)
    path.write_text(text + "\n", encoding="utf-8")
