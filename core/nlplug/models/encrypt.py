"""Writes a bundle encrypted, or decrypted again."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from nlplug.errors import BundleIncomplete, OptionError
from nlplug.models.bundle import Bundle
from nlplug.models.encryption import (
    KEY_FILE_VARIABLE,
    KEY_VARIABLE,
    decrypted_chunks,
    encrypt_file,
    is_encrypted,
    read_key,
)
from nlplug.models.layout import TARGET_TOKENIZER_FILE, TOKENIZER_FILE, VOCABULARY_FILE
from nlplug.models.manifest import MANIFEST_FILE, Manifest
from nlplug.models.writer import BundleWriter

_TOKENIZERS = frozenset({TOKENIZER_FILE, TARGET_TOKENIZER_FILE, VOCABULARY_FILE})


def encrypt_bundle(bundle: Bundle, output: Path, *, key_file: Path | None = None) -> Bundle:
    """Write a bundle whose graphs, weights and tokenizers are encrypted.

    Settings, labels, the card and the manifest stay readable, so that the bundle can be listed,
    verified, signed and packed without the key. To run it, the key has to be in the environment.

    Args:
        bundle: The model, with a manifest.
        output: Folder of the new bundle, not that of the model.
        key_file: File with the key; None: ``NLPLUG_MODEL_KEY`` or ``NLPLUG_MODEL_KEY_FILE``.

    Raises:
        OptionError: No key is given, it is malformed, the model is encrypted already, or the
            folder is that of the model.
        BundleError: The model has no manifest or is damaged, or the folder cannot be written.
        MissingExtra: The extra ``encrypt`` is not installed.
    """
    manifest = _manifest_of(bundle)
    if any(is_encrypted(bundle.path / name) for name in manifest.files):
        raise OptionError(f"The model {bundle.name!r} is encrypted already.")
    key = _key(key_file)

    def copy(source: Path, target: Path) -> None:
        if source.name in _TOKENIZERS or ".onnx" in source.name:
            encrypt_file(source, target, key)
        else:
            shutil.copyfile(source, target)

    return _rewritten(bundle, manifest, output, copy)


def decrypt_bundle(bundle: Bundle, output: Path, *, key_file: Path | None = None) -> Bundle:
    """Write an encrypted bundle without encryption; arguments and errors as `encrypt_bundle`.

    Raises:
        BundleLocked: The key is another one.
    """
    manifest = _manifest_of(bundle)
    if not any(is_encrypted(bundle.path / name) for name in manifest.files):
        raise OptionError(f"The model {bundle.name!r} is not encrypted.")
    key = _key(key_file)

    def copy(source: Path, target: Path) -> None:
        if not is_encrypted(source):
            shutil.copyfile(source, target)
            return
        with source.open("rb") as file, target.open("wb") as out:
            out.writelines(decrypted_chunks(source, file, key))

    return _rewritten(bundle, manifest, output, copy)


def _manifest_of(bundle: Bundle) -> Manifest:
    if bundle.manifest is None:
        raise BundleIncomplete(
            f"{bundle.path} has no {MANIFEST_FILE}.", hint="Export the model with `nlplug export`."
        )
    return bundle.manifest


def _key(file: Path | None) -> bytes:
    key = read_key(file)
    if key is None:
        raise OptionError(
            "No key is given.",
            hint=f"Name a file with --key-file, or set {KEY_VARIABLE} or {KEY_FILE_VARIABLE}.",
        )
    return key


def _rewritten(
    bundle: Bundle, manifest: Manifest, output: Path, copy: Callable[[Path, Path], None]
) -> Bundle:
    if output.resolve() == bundle.path.resolve():
        raise OptionError(f"{output} is the folder of the model.", hint="Name another folder.")
    bundle.verify()
    with BundleWriter(output) as writer:
        for name in manifest.files:
            (writer.folder / name).parent.mkdir(parents=True, exist_ok=True)
            copy(bundle.path / name, writer.folder / name)
        return writer.commit(manifest)
