"""JSON files and the card of a model folder, and what errors about damaged files advise."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nlplug.errors import BundleCorrupt
from nlplug.json_text import parse_json

_POINTER = b"version https://git-lfs.github.com/spec/"
_SURROGATE = b"\\ud"
AGAIN = "Write it again (`nlplug export`, `nlplug models pull`), or copy the folder whole."
"""The hint of errors about a damaged bundle."""


def changed_hint(folder: Path) -> str:
    """The hint of errors about a file that is not the one the manifest describes."""
    return f"{AGAIN} If you changed the file on purpose: nlplug models seal {folder}"


def hint_of(path: Path, usual: str) -> str:
    """The hint of an error about a damaged file.

    Args:
        path: The file.
        usual: The hint, unless the file is a pointer of Git LFS, which a clone without LFS has.
    """
    try:
        with path.open("rb") as file:
            is_pointer = file.read(len(_POINTER)) == _POINTER
    except OSError:
        return usual
    return (
        "The file is a pointer of Git LFS: run `git lfs pull` in the repository, or fetch the "
        "model with `nlplug models pull`."
        if is_pointer
        else usual
    )


def read_object(path: Path) -> dict[str, Any]:
    """Read a JSON file with an object.

    Raises:
        BundleCorrupt: The file is not a JSON object.
    """
    value = _read_json(path)
    if not isinstance(value, dict):
        raise BundleCorrupt(f"{path} holds no JSON object.", hint=AGAIN)
    return value


def read_list(path: Path) -> list[Any]:
    """Read a JSON file with a list.

    Raises:
        BundleCorrupt: The file is not a JSON list.
    """
    value = _read_json(path)
    if not isinstance(value, list):
        raise BundleCorrupt(f"{path} holds no JSON list.", hint=AGAIN)
    return value


def read_text(path: Path) -> str:
    """Read a text file in UTF-8, with or without a byte order mark.

    Raises:
        BundleCorrupt: The file is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise BundleCorrupt(f"{path} is not in UTF-8: {error}.", hint=AGAIN) from None


def _read_json(path: Path) -> Any:
    try:
        content = path.read_bytes()
        value = parse_json(content)
        if _SURROGATE in content.lower():
            json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise BundleCorrupt(
            f"{path} has a lone surrogate in a text, which is not valid Unicode.", hint=AGAIN
        ) from None
    except ValueError as error:
        raise BundleCorrupt(
            f"{path} is not valid JSON: {error}.", hint=hint_of(path, AGAIN)
        ) from None
    return value


def card_facts(card: Path) -> dict[str, Any]:
    """The front matter of a model card; empty without one, and if it is broken."""
    if not card.is_file():
        return {}
    from huggingface_hub.repocard import metadata_load

    try:
        return metadata_load(card) or {}
    except Exception:  # the errors of its YAML parser; a broken card is no broken model
        return {}


def stated_languages(facts: Mapping[str, Any]) -> list[str]:
    """The languages in the front matter of a model card, which may be one or a list."""
    stated = facts.get("language")
    return [stated] if isinstance(stated, str) else [str(one) for one in stated or ()]
