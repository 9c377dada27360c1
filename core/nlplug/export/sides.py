"""The files of a bundle other than its graphs: config, tokenizer, generation settings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from nlplug.errors import OptionError
from nlplug.export.saved_tokenizer import save_tokenizer
from nlplug.models.layout import TARGET_TOKENIZER_FILE, window_of


def write_sides(
    model: Any,
    tokenizer: Any,
    folder: Path,
    *,
    max_length: int | None = None,
    target_tokenizer: Any = None,
) -> None:
    """Write a model's config and all files of its tokenizer in the layout of a bundle.

    Only the vocabulary files of slow tokenizers (``vocab.txt``, ``merges.txt``, …) are left out:
    ``tokenizer.json`` holds the same.

    Args:
        model: A ``transformers.PreTrainedModel``.
        tokenizer: Its fast tokenizer.
        folder: The folder of the bundle.
        max_length: The window in tokens; None for the model's own.
        target_tokenizer: The ``tokenizers.Tokenizer`` of the texts that the model writes, where it
            is another one.

    Raises:
        OptionError: ``max_length`` is above the model's window.
    """
    save_tokenizer(tokenizer, folder)
    for kind, name in tokenizer.vocab_files_names.items():
        if kind != "tokenizer_file":
            (folder / name).unlink(missing_ok=True)
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
    # Written here too, so that other programs truncate texts at the same length.
    tokenizer_config["model_max_length"] = window
    _write_json(folder / "tokenizer_config.json", tokenizer_config)
    if model.can_generate():
        text = model.generation_config.to_json_string(use_diff=True)
        (folder / "generation_config.json").write_text(text, encoding="utf-8")


def _write_json(path: Path, value: Any) -> None:
    text = json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True)
    path.write_text(text + "\n", encoding="utf-8")
