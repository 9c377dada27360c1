"""``nlplug models sign``, ``encrypt``, ``decrypt`` and ``sbom``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from nlplug.models.bundle import Bundle

_as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_output = click.option(
    "--output",
    "-o",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the new bundle.",
)
_key_file = click.option(
    "--key-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="File with the key. Default: NLPLUG_MODEL_KEY, or the file that NLPLUG_MODEL_KEY_FILE "
    "names.",
)


@click.command()
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--key",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Private key (PEM file).",
)
@_as_json
def sign(path: Path, key: Path, as_json: bool) -> None:
    """Sign a bundle or a package with a private key.

    PATH is the folder of a bundle, or a file, such as a wheel. The signature is written into the
    folder as model.sig, or next to the file as FILE.sig. The password of an encrypted key is read
    from NLPLUG_SIGN_PASSWORD.
    """
    from nlplug.models.bundle import Bundle
    from nlplug.models.signing import sign as sign_path

    if path.is_dir():
        Bundle.open(path, verify=True)
    _report(as_json, {"path": str(sign_path(path, key))}, "Signed {0}: {path}", str(path))


@click.command()
@click.argument("model")
@_output
@_key_file
@_as_json
def encrypt(model: str, output: Path, key_file: Path | None, as_json: bool) -> None:
    """Write a model with encrypted weights and vocabulary.

    The graphs, their weights and the tokenizers are encrypted with AES-256-GCM. The key is 64
    hexadecimal digits. A pipeline reads it from the environment and decrypts in memory.
    """
    from nlplug.models.encrypt import encrypt_bundle

    bundle = encrypt_bundle(_open(model), output, key_file=key_file)
    _report(as_json, {"path": str(bundle.path)}, "Encrypted {0}: {path}", model)


@click.command()
@click.argument("model")
@_output
@_key_file
@_as_json
def decrypt(model: str, output: Path, key_file: Path | None, as_json: bool) -> None:
    """Write an encrypted model without encryption."""
    from nlplug.models.encrypt import decrypt_bundle

    bundle = decrypt_bundle(_open(model), output, key_file=key_file)
    _report(as_json, {"path": str(bundle.path)}, "Decrypted {0}: {path}", model)


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@_as_json
def sbom(folder: Path, as_json: bool) -> None:
    """Add a software bill of materials (SBOM) to a model.

    Run it in the environment that trained or exported the bundle in FOLDER. It writes
    sbom.cdx.json (CycloneDX 1.6) into the folder and updates the digests in nlplug.json. Sign the
    bundle after this, not before.
    """
    from nlplug.models.bundle import Bundle
    from nlplug.models.sbom import add_sbom

    _report(as_json, {"path": str(add_sbom(Bundle.open(folder)))}, "Wrote {path}", str(folder))


def _open(model: str) -> Bundle:
    from nlplug.models.resolve import resolve

    return resolve(model, fetch=False)


def _report(as_json: bool, result: dict[str, Any], words: str, *values: str) -> None:
    click.echo(json.dumps(result) if as_json else words.format(*values, **result))
