"""Signatures over bundles and packages, made with a key by OpenSSF model-signing, offline.

A signature is a Sigstore bundle (https://github.com/sigstore/model-transparency) over the sha256 of
each file. Keys are PEM files of the elliptic curves P-256, P-384 and P-521. model-signing (extra
``sign``) is imported only here, when something is signed or a signature is checked.
"""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path
from typing import Any

from nlplug.errors import BundleUntrusted, OptionError
from nlplug.extras import require
from nlplug.models.atomic import Staged
from nlplug.models.manifest import DOWNLOAD_FILES, PARTIAL_FILE, SIGNATURE_FILE

PASSWORD_VARIABLE = "NLPLUG_SIGN_PASSWORD"
"""Environment variable with the password of an encrypted private key."""


def signature_file_of(target: Path) -> Path:
    """Where the signature of a folder or a file is: ``FOLDER/model.sig`` or ``FILE.sig``."""
    return target / SIGNATURE_FILE if target.is_dir() else target.with_name(f"{target.name}.sig")


def sign(target: Path, key: Path) -> Path:
    """Sign all files of a bundle's folder, or one file.

    Args:
        target: The folder, or the file, such as a wheel.
        key: PEM file of the private key; its password is in ``NLPLUG_SIGN_PASSWORD``.

    Returns:
        The file with the signature: ``model.sig`` in the folder, or ``.sig`` next to the file.

    Raises:
        OptionError: The key cannot be used.
        MissingExtra: The extra ``sign`` is not installed.
    """
    signing = require("model_signing.signing", "sign", purpose="Signing")
    password = os.environ.get(PASSWORD_VARIABLE)
    try:
        config = signing.Config().use_elliptic_key_signer(
            private_key=key, password=password.encode() if password else None
        )
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise _bad_key("private", key, error) from None
    path = signature_file_of(target)
    config.set_hashing_config(_hashing(target))
    with tempfile.TemporaryDirectory() as folder:  # in the model's folder it would be signed too
        config.sign(target, Path(folder) / path.name)
        content = (Path(folder) / path.name).read_bytes()
    with Staged(path) as staged:
        staged.path.write_bytes(content)
        staged.commit()
    return path


def check_signature(target: Path, key: Path, signature: Path | None = None) -> None:
    """Check that a folder or a file has a signature of a key.

    Args:
        target: The folder of a bundle, or a file.
        key: PEM file of the public key.
        signature: The file with the signature; None for `signature_file_of`.

    Raises:
        BundleUntrusted: It is not signed, signed with another key, or was changed after that.
        OptionError: The key cannot be used.
        MissingExtra: The extra ``sign`` is not installed.
    """
    verifying = require("model_signing.verifying", "sign", purpose="Checking a signature")
    try:
        config = verifying.Config().use_elliptic_key_verifier(public_key=key)
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise _bad_key("public", key, error) from None
    signature = signature or signature_file_of(target)
    if not signature.is_file():
        raise BundleUntrusted(
            f"{target} is not signed: there is no {signature}.",
            hint="Get the signed model from its publisher. To sign your own: nlplug models sign",
        )
    try:
        # The files to hash are chosen here. Paths that a signature leaves out are left out too, but
        # only who holds the private key can state these.
        config.set_hashing_config(_hashing(target)).verify(target, signature)
    except Exception as error:  # it raises ValueError, errors of cryptography and of its parsers
        raise BundleUntrusted(
            f"{target} does not have a valid signature of the key {key}: {_cause(error)}.",
            hint="It was changed after it was signed, or another key signed it. Get it again from "
            "its publisher, and check the key.",
        ) from error


def _cause(error: Exception) -> str:
    """The reason in a few words: model-signing shows digests as Python objects."""
    text = str(error).strip().split("\n")[0]
    if changed := re.findall(r"Hash mismatch for ['\\]*([^'\\]+)", text):
        names = ["the file" if name == "." else name for name in changed[:5]]
        return f"changed since then: {', '.join(names)}"
    if text.startswith("Key mismatch"):
        return "another key signed it"
    return text[:200].rstrip(".") or "the signature is damaged"


def _hashing(target: Path) -> Any:
    """Every file that the manifest lists, and the manifest; or the one file."""
    hashing = require("model_signing.hashing", "sign", purpose="Signing")
    others = (SIGNATURE_FILE, PARTIAL_FILE, *DOWNLOAD_FILES) if target.is_dir() else ()
    own = [target / name for name in others]
    return hashing.Config().set_ignored_paths(paths=own, ignore_git_paths=False)


def _bad_key(kind: str, key: Path, error: Exception) -> OptionError:
    return OptionError(
        f"{key} cannot be used as {kind} key: {error}",
        hint=f"Give a PEM file with the {kind} key of the curve P-256, P-384 or P-521; the "
        f"password of a private key is read from {PASSWORD_VARIABLE}.",
    )
