"""Uploads a bundle with its card to a repository of the Hub, in one commit."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from nlplug.errors import BundleIncomplete, OfflineError, OptionError, UploadError
from nlplug.models.bundle import Bundle
from nlplug.models.card import model_card
from nlplug.models.hub import HubRef
from nlplug.models.layout import CARD_FILE
from nlplug.models.manifest import MANIFEST_FILE, SIGNATURE_FILE, FileRecord, Manifest
from nlplug.models.pack import check_gate
from nlplug.settings import Settings
from nlplug.version import __version__


def push(
    bundle: Bundle,
    repo: str,
    settings: Settings,
    *,
    private: bool = False,
    message: str | None = None,
    force: bool = False,
) -> str:
    """Upload a bundle to a repository of the Hub, which is made if there is none.

    The card gets the front matter that the Hub reads (licence, languages, task), if it has none and
    the bundle is not signed. Other files of the repository stay.

    Args:
        bundle: The model, with a manifest.
        repo: ``owner/name``.
        settings: Where the Hub is, and whether it may be asked.
        private: Whether a new repository is private.
        message: Message of the commit; None for one with the name of the model.
        force: Upload also precisions that did not pass the quality gate.

    Returns:
        Address of the commit.

    Raises:
        OptionError: ``repo`` is not a name of a repository.
        GateRefused: A precision did not pass the quality gate.
        BundleError: The bundle has no manifest, or it is damaged.
        OfflineError: The network is switched off.
        UploadError: The Hub cannot be reached, or refuses the upload.
    """
    ref = HubRef.parse(repo)
    if ref is None or str(ref) != ref.repo:
        raise OptionError(
            f"{repo!r} is not a name of a repository.",
            hint="Give owner/name, such as acme/tickets.",
        )
    if bundle.manifest is None:
        raise BundleIncomplete(
            f"{bundle.path} has no {MANIFEST_FILE}.", hint="Export the model with `nlplug export`."
        )
    bundle.verify()
    if not force:
        check_gate(bundle.name, bundle.manifest, bundle.manifest.precisions)
    if settings.offline:
        raise OfflineError(
            "The network is switched off (NLPLUG_OFFLINE or HF_HUB_OFFLINE).",
            hint="Unset that and run the command again.",
        )
    from huggingface_hub import CommitOperationAdd, HfApi

    api = HfApi(endpoint=settings.hub_endpoint, library_name="nlplug", library_version=__version__)
    files = _files(bundle, bundle.manifest)
    try:
        api.create_repo(repo, private=private, exist_ok=True)
        commit: Any = api.create_commit(
            repo,
            [CommitOperationAdd(name, content) for name, content in files.items()],
            commit_message=message or f"Upload {bundle.name} with nlplug",
        )
    except Exception as error:  # of its HTTP library, which differs between versions
        cause = error.__cause__ or error
        text = str(cause).strip().split("\n")[0][:200]
        raise UploadError(
            f"{bundle.name!r} cannot be uploaded to {repo} on {settings.hub_endpoint}: {text}",
            hint="Run `hf auth login` or set HF_TOKEN to a token that may write there, and check "
            "the network.",
        ) from error
    return str(commit.commit_url)


def _files(bundle: Bundle, manifest: Manifest) -> dict[str, Path | bytes]:
    """What is uploaded, by path in the repository; the manifest is the last one."""
    files: dict[str, Path | bytes] = {name: bundle.path / name for name in manifest.files}
    if (bundle.path / SIGNATURE_FILE).is_file():  # another card would make the signature invalid
        own = (SIGNATURE_FILE, MANIFEST_FILE)
        return files | {name: bundle.path / name for name in own}
    card = _card(bundle, manifest)
    record = FileRecord(sha256=hashlib.sha256(card).hexdigest(), size=len(card))
    manifest = manifest.model_copy(update={"files": manifest.files | {CARD_FILE: record}})
    return files | {CARD_FILE: card, MANIFEST_FILE: manifest.to_json().encode()}


def _card(bundle: Bundle, manifest: Manifest) -> bytes:
    """The model card with the front matter that the Hub reads."""
    own = bundle.path / CARD_FILE
    text = own.read_text(encoding="utf-8") if own.is_file() else model_card(manifest)
    if text.startswith("---\n"):
        return text.encode()
    from huggingface_hub import ModelCardData

    facts = ModelCardData(
        license=manifest.license.lower() or None,
        language=manifest.languages or None,
        pipeline_tag=manifest.hub_task or None,
        library_name="nlplug",
        tags=["onnx", "nlplug"],
    )
    return f"---\n{facts.to_yaml()}\n---\n\n{text}".encode()
