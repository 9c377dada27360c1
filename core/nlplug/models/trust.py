"""What must hold before a model is used: its digests, and the signature of a key."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nlplug.errors import BundleCorrupt, BundleError, BundleIncomplete, ModelNotFound
from nlplug.models.bundle import Bundle
from nlplug.models.manifest import MANIFEST_FILE, safe_relative
from nlplug.settings import Settings


def verify_bundle(bundle: Bundle, key: Path | None = None) -> None:
    """Compare a bundle with its manifest, and check its signature.

    Args:
        bundle: The bundle. Without a manifest only its links are checked.
        key: PEM file of the public key that must have signed it; None: no signature is needed.

    Raises:
        BundleCorrupt: A file was changed, or is not listed in the manifest.
        BundleIncomplete: A file is missing.
        BundleUntrusted: There is no valid signature of the key.
        OptionError: The key cannot be used.
        MissingExtra: A key is given, and the extra ``sign`` is not installed.
    """
    bundle.verify()
    if key is not None:
        from nlplug.models.signing import check_signature

        check_signature(bundle.path, key)


def verify_for_use(bundle: Bundle, settings: Settings) -> None:
    """What ``NLPLUG_VERIFY`` and ``NLPLUG_VERIFY_KEY`` ask for when a model is loaded.

    Raises:
        BundleIncomplete: The model has no manifest, so it cannot be verified.
        BundleError: As for `verify_bundle`.
    """
    if not settings.verify and settings.verify_key is None:
        return
    if bundle.manifest is None:
        raise BundleIncomplete(
            f"{bundle.path} has no {MANIFEST_FILE}, so it cannot be verified.",
            hint="NLPLUG_VERIFY allows only models with a manifest, as nlplug writes them.",
        )
    verify_bundle(bundle, settings.verify_key)


def verify_wheel(wheel: Path, key: Path | None = None) -> list[str]:
    """Compare the files of a wheel with its list of digests, and its bundles with their manifests.

    The signature is over all bytes of the wheel; without a key, the code in the wheel and its
    metadata are only compared with the digests that the wheel itself states.

    Args:
        wheel: The file. It is not installed, and no code in it runs.
        key: PEM file of the public key; the signature is the file ``.whl.sig`` next to the wheel.

    Returns:
        The names of its models.

    Raises:
        ModelNotFound: There is no such file.
        BundleError: As for `verify_bundle`, or the file is not a wheel with a model.
    """
    if not wheel.is_file():
        raise ModelNotFound(f"There is no file {wheel}.", hint="Check the path.")
    if key is not None:
        from nlplug.models.signing import check_signature

        check_signature(wheel, key)
    found = []
    with tempfile.TemporaryDirectory() as folder:
        with _readable(wheel):
            archive = zipfile.ZipFile(wheel)
        with archive:
            with _readable(wheel):
                names = _check_record(wheel, archive)
            archive.extractall(folder, names)
        for manifest in sorted(Path(folder).glob(f"*/**/{MANIFEST_FILE}")):
            bundle = Bundle.open(manifest.parent)
            bundle.verify()
            found.append(bundle.name)
    if not found:
        raise BundleIncomplete(
            f"{wheel} holds no model: none of its folders has the file {MANIFEST_FILE}.",
            hint="Wheels with a model are made by `nlplug package`.",
        )
    return found


_RECORD = ".dist-info/RECORD"
_AGAIN = "Get it again from its publisher, or make it again with `nlplug package`."


@contextmanager
def _readable(wheel: Path) -> Iterator[None]:
    """Turn the errors of a damaged zip file into one of ours."""
    try:
        yield
    except BundleError:  # some are OSErrors too
        raise
    except (
        zipfile.BadZipFile,
        zlib.error,
        csv.Error,
        OSError,
        EOFError,
        ValueError,
        RuntimeError,
    ) as error:
        raise BundleCorrupt(
            f"{wheel} is not a wheel that can be read: {error}.", hint=_AGAIN
        ) from None


def _check_record(wheel: Path, archive: zipfile.ZipFile) -> list[str]:
    """Compare all files with ``RECORD``; their names."""
    names = [name for name in archive.namelist() if not name.endswith("/")]
    records = [name for name in names if name.count("/") == 1 and name.endswith(_RECORD)]
    if len(records) != 1 or len(set(names)) != len(names):
        raise BundleCorrupt(f"{wheel} is not a wheel: it needs one file {_RECORD}.", hint=_AGAIN)
    rows = csv.reader(io.StringIO(archive.read(records[0]).decode()))
    stated = {name: digest for name, digest, _ in rows}
    for name in sorted({*names} ^ stated.keys()):
        state = "is not listed in its RECORD" if name in names else "is missing"
        raise BundleCorrupt(f"{name} in {wheel} {state}.", hint=_AGAIN)
    for name in names:
        safe_relative(name)
        if name == records[0]:
            continue
        digest = hashlib.sha256()
        with archive.open(name) as file:
            while block := file.read(1 << 20):
                digest.update(block)
        shown = "sha256=" + base64.urlsafe_b64encode(digest.digest()).rstrip(b"=").decode()
        if shown != stated[name]:
            raise BundleCorrupt(
                f"{name} in {wheel} was changed: its digest is not the one in RECORD.", hint=_AGAIN
            )
    return names
