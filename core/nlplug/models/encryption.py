"""Encrypted files of a bundle: AES-256-GCM in chunks, decrypted in memory.

A file is encrypted with a key of its own, derived with HKDF-SHA256 (RFC 5869) from the key of the
user and a random salt. Its content is divided into chunks of 16 MiB, so that it can be larger than
what GCM allows for one message. The nonce of a chunk is its number and whether it is the last one,
as in the STREAM construction (https://eprint.iacr.org/2015/189), so that chunks cannot be left out,
added or exchanged. The name of the file is authenticated too.

Layout: 16 bytes `_MAGIC`, 16 bytes salt, 16 bytes that show whether the key is the right one, then
the chunks, each with a tag of 16 bytes.

The package cryptography (extra ``encrypt``) is imported only when such a file is read or written.
"""

from __future__ import annotations

import hmac
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from nlplug.errors import BundleCorrupt, BundleLocked, OptionError
from nlplug.extras import require

KEY_VARIABLE = "NLPLUG_MODEL_KEY"
"""Environment variable with the key: 64 hexadecimal digits."""
KEY_FILE_VARIABLE = "NLPLUG_MODEL_KEY_FILE"
"""Environment variable with the path of a file that holds the key."""

_MAGIC = b"nlplug-aes-gcm\0\1"
_SALT = _CHECK = _TAG = 16
_HEADER = len(_MAGIC) + _SALT + _CHECK
_CHUNK = 1 << 24
_KEY_BYTES = 32


def is_encrypted(path: Path) -> bool:
    """Whether a file is an encrypted file of a bundle. False where there is no such file."""
    try:
        with path.open("rb") as file:
            return file.read(len(_MAGIC)) == _MAGIC
    except FileNotFoundError:
        return False


def read_key(file: Path | None = None) -> bytes | None:
    """The key of encrypted models.

    Args:
        file: The file that holds it; None for what the environment states.

    Returns:
        32 bytes; None where neither ``NLPLUG_MODEL_KEY`` nor ``NLPLUG_MODEL_KEY_FILE`` is set.

    Raises:
        OptionError: The file cannot be read, or it is no key; the key is not in the message.
    """
    text, source = os.environ.get(KEY_VARIABLE), KEY_VARIABLE
    if file is not None or not text:
        stated = str(file) if file is not None else os.environ.get(KEY_FILE_VARIABLE)
        if not stated:
            return None
        try:
            text, source = Path(stated).expanduser().read_text(encoding="ascii"), stated
        except (OSError, UnicodeDecodeError) as error:
            raise OptionError(
                f"The key file {stated} cannot be read: {error}.", hint=_MAKE_A_KEY
            ) from None
    try:
        key = bytes.fromhex(text)
    except ValueError:
        key = b""
    if len(key) != _KEY_BYTES:
        raise OptionError(
            f"The key in {source} is not {2 * _KEY_BYTES} hexadecimal digits.", hint=_MAKE_A_KEY
        )
    return key


_MAKE_A_KEY = (
    'A key is made by: python -c "import secrets; print(secrets.token_hex(32))" > KEY_FILE'
)


def decrypted(path: Path) -> bytes:
    """The content of an encrypted file, decrypted in memory with the key of the environment.

    Raises:
        BundleLocked: No key is given, or another one than the file was encrypted with.
        BundleCorrupt: The file was changed.
        OptionError: What is given is no key.
        MissingExtra: The extra ``encrypt`` is not installed.
    """
    key = read_key()
    if key is None:
        raise BundleLocked(
            f"{path} is encrypted, and no key is given.",
            hint=f"Set {KEY_VARIABLE} to the key, or {KEY_FILE_VARIABLE} to a file with it.",
        )
    with path.open("rb") as file:
        return b"".join(decrypted_chunks(path, file, key))


def decrypted_chunks(path: Path, file: IO[bytes], key: bytes) -> Iterator[bytes]:
    """The chunks of an encrypted file; raises as `decrypted` does."""
    header = file.read(_HEADER)
    salt = header[len(_MAGIC) : -_CHECK]
    if len(header) < _HEADER or not header.startswith(_MAGIC):
        raise _changed(path)
    cipher, check = _cipher(key, salt)
    if not hmac.compare_digest(check, header[-_CHECK:]):
        raise BundleLocked(
            f"The key is not the one that {path} was encrypted with.",
            hint=f"Set {KEY_VARIABLE} or {KEY_FILE_VARIABLE} to the key of this model. If the key "
            "is right, the file was changed: nlplug verify",
        )
    invalid = require("cryptography.exceptions", "encrypt", purpose="Decrypting").InvalidTag
    chunk = file.read(_CHUNK + _TAG)
    number = 0
    while True:
        following = file.read(_CHUNK + _TAG)
        try:
            yield cipher.decrypt(_nonce(number, last=not following), chunk, _bound_to(path))
        except invalid:
            raise _changed(path) from None
        if not following:
            return
        chunk, number = following, number + 1


def encrypt_file(source: Path, target: Path, key: bytes) -> None:
    """Write a file encrypted. The target has the same file name as the source will be read by.

    Raises:
        MissingExtra: The extra ``encrypt`` is not installed.
    """
    salt = secrets.token_bytes(_SALT)
    cipher, check = _cipher(key, salt)
    with source.open("rb") as file, target.open("wb") as out:
        out.write(_MAGIC + salt + check)
        chunk = file.read(_CHUNK)
        number = 0
        while True:
            following = file.read(_CHUNK)
            out.write(cipher.encrypt(_nonce(number, last=not following), chunk, _bound_to(target)))
            if not following:
                return
            chunk, number = following, number + 1


def _cipher(key: bytes, salt: bytes) -> tuple[Any, bytes]:
    """The cipher of a file, and the bytes that show that the key is the right one."""
    aead = require("cryptography.hazmat.primitives.ciphers.aead", "encrypt", purpose="Encryption")
    hashes = require("cryptography.hazmat.primitives.hashes", "encrypt", purpose="Encryption")
    hkdf = require("cryptography.hazmat.primitives.kdf.hkdf", "encrypt", purpose="Encryption")
    derived = hkdf.HKDF(hashes.SHA256(), _KEY_BYTES + _CHECK, salt, _MAGIC).derive(key)
    return aead.AESGCM(derived[:_KEY_BYTES]), derived[_KEY_BYTES:]


def _nonce(number: int, *, last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([last])


def _bound_to(path: Path) -> bytes:
    """What is authenticated with each chunk: the name of the file, without its folder."""
    return path.name.encode()


def _changed(path: Path) -> BundleCorrupt:
    return BundleCorrupt(
        f"{path} cannot be decrypted: it was changed or renamed.",
        hint="Get the encrypted model again. `nlplug verify` names all changed files.",
    )
