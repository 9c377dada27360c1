"""The Hub: what a repository holds, and fetching files of it, checked, over huggingface_hub.

huggingface_hub (0.34 and later, 1.x, 2.x) is imported only when the network is needed. It finds and
sends the token of the user as usual (``HF_TOKEN``, ``hf auth login``).
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from nlplug.errors import (
    BundleCorrupt,
    BundleIncomplete,
    ModelNotFound,
    NlplugError,
    OfflineError,
    OptionError,
    causes,
    explained,
)
from nlplug.models.files import stated_languages
from nlplug.models.verify import sha256_of
from nlplug.settings import Settings
from nlplug.version import __version__

_PART = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9_-])?"
_HUB_ID = re.compile(rf"\A(?P<repo>{_PART}/{_PART})(?:@(?P<revision>\S+))?")
_REVISION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._/-]*")
_LISTING_SECONDS = 30.0
_ARRIVED = ".arrived"
"""Folder of files that are being fetched."""
_NETWORK_MODULES = frozenset({"requests", "urllib3", "httpx", "httpx2", "httpcore", "httpcore2"})


@dataclass(frozen=True)
class HubRef:
    """A model on the Hub.

    Attributes:
        repo: ``owner/name``.
        revision: Branch, tag or commit; None for the default branch.
        subfolder: The folder of the repository that holds the model; empty for its root.
    """

    repo: str
    revision: str | None = None
    subfolder: str = ""

    def __str__(self) -> str:
        text = f"{self.repo}@{self.revision}" if self.revision else self.repo
        return f"{text}//{self.subfolder}" if self.subfolder else text

    def inside(self, name: str) -> str:
        """The name in the repository of a file of the model."""
        return f"{self.subfolder}/{name}" if self.subfolder else name

    @classmethod
    def parse(cls, text: str, revision: str | None = None) -> HubRef | None:
        """Read ``owner/name``, ``owner/name@revision``, or one of these with ``//subfolder``.

        Returns:
            None if ``text`` is no such id.

        Raises:
            OptionError: The revision or the subfolder is malformed, or the revision is given twice
                with different values.
        """
        text, slashes, subfolder = text.partition("//")
        match = _HUB_ID.fullmatch(text)
        if match is None or ".." in match["repo"] or "--" in match["repo"]:
            return None
        both = {part for part in (match["revision"], revision) if part}
        if len(both) > 1:
            raise OptionError(
                f"{text!r} names another revision than {revision!r}.", hint="Give it once."
            )
        chosen = both.pop() if both else None
        if chosen and (not _REVISION.fullmatch(chosen) or ".." in chosen):
            raise OptionError(
                f"{chosen!r} is not a revision of a repository.",
                hint="Give a branch, a tag or a commit.",
            )
        parts = PurePosixPath(subfolder).parts
        if slashes and (not parts or {"..", "/"} & {*parts} or "\\" in subfolder):
            raise OptionError(
                f"{subfolder!r} is not a folder of a repository.",
                hint="Give the path of a folder from the root of the repository, such as "
                f"{text}//models/small.",
            )
        return cls(match["repo"], chosen, "/".join(parts))


@dataclass(frozen=True)
class HubFile:
    """One file of a repository, with what the Hub says of its content."""

    name: str
    size: int | None
    sha256: str | None
    git_sha1: str | None

    def check(self, path: Path) -> None:
        """Compare a fetched file with what the Hub announced.

        Raises:
            BundleCorrupt: It is another content.
        """
        if self.sha256 is not None:
            right = sha256_of(path) == self.sha256
        elif self.git_sha1 is not None:
            right = _git_sha1(path) == self.git_sha1
        else:
            right = self.size is None or path.stat().st_size == self.size
        if not right:
            raise BundleCorrupt(
                f"{self.name} has other content than the Hub announced.",
                hint="Try again. If it happens again, a proxy or mirror changes the file.",
            )


@dataclass(frozen=True)
class HubRepo:
    """What a repository, or the subfolder of one that is asked for, holds at one commit."""

    repo: str
    commit: str
    files: dict[str, HubFile]
    hub_task: str
    license: str
    languages: list[str]


def look_up(ref: HubRef, settings: Settings, *, revision: str | None = None) -> HubRepo:
    """List the files of a model: one request. Names are relative to its subfolder.

    Args:
        ref: The model.
        settings: Where the Hub is, and whether it may be asked.
        revision: Instead of that of ``ref``.

    Raises:
        OfflineError: The network is switched off.
        ModelNotFound: No such repository or revision, no access to it, or no Hub within reach.
    """
    _refuse_offline(ref, settings)
    from huggingface_hub import HfApi

    api = HfApi(
        endpoint=settings.hub_endpoint,
        token=settings.hub_token,
        library_name="nlplug",
        library_version=__version__,
    )
    with _translated(ref, settings):
        info: Any = api.model_info(
            ref.repo,
            revision=revision or ref.revision,
            files_metadata=True,
            timeout=_LISTING_SECONDS,
        )
    card = info.card_data.to_dict() if info.card_data else {}
    start = ref.inside("")
    return HubRepo(
        repo=ref.repo,
        commit=info.sha,
        files={
            (name := item.rfilename.removeprefix(start)): HubFile(
                name,
                item.size,
                item.lfs.sha256 if item.lfs else None,
                None if item.lfs else item.blob_id,
            )
            for item in info.siblings or ()
            if item.rfilename.startswith(start)
        },
        hub_task=info.pipeline_tag or "",
        license=str(card.get("license") or ""),
        languages=stated_languages(card),
    )


def fetch(ref: HubRef, repo: HubRepo, names: list[str], folder: Path, settings: Settings) -> None:
    """Fetch files into ``folder`` and check each against what the Hub announced.

    Raises:
        OfflineError: The network is switched off.
        ModelNotFound: The repository or a file of it is gone, or not accessible.
        BundleIncomplete: The connection was lost.
        BundleCorrupt: A file arrived with another content.
        DiskFull: There is no room for a file.
    """
    _refuse_offline(ref, settings)
    from huggingface_hub import hf_hub_download

    arrived = folder / _ARRIVED
    for name in names:
        with _translated(ref, settings, fetching=ref.inside(name)):
            path = hf_hub_download(
                ref.repo,
                ref.inside(name),
                revision=repo.commit,
                local_dir=arrived,
                endpoint=settings.hub_endpoint,
                token=settings.hub_token,
                library_name="nlplug",
                library_version=__version__,
            )
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            os.replace(path, folder / name)
        repo.files[name].check(folder / name)
    # With the internal files that hf_hub_download writes next to the downloaded ones.
    shutil.rmtree(arrived, ignore_errors=True)


def _refuse_offline(ref: HubRef, settings: Settings) -> None:
    if settings.offline:
        raise OfflineError(
            f"{ref} must be downloaded, but the network is switched off "
            "(NLPLUG_OFFLINE or HF_HUB_OFFLINE).",
            hint=f"Unset that and run: nlplug models pull {ref}",
        )


@contextmanager
def _translated(ref: HubRef, settings: Settings, fetching: str | None = None) -> Iterator[None]:
    try:
        yield
    except NlplugError:
        raise
    except Exception as error:
        translated = _translate(error, ref, settings, fetching)
        if translated is None:
            raise
        raise translated from error


def _translate(
    error: Exception, ref: HubRef, settings: Settings, fetching: str | None
) -> NlplugError | None:
    from huggingface_hub import errors

    where = settings.hub_endpoint
    if full := explained(error):  # while a file was written
        return full
    if isinstance(error, errors.OfflineModeIsEnabled):
        return OfflineError(
            f"{ref} must be downloaded, but huggingface_hub is set to offline mode.",
            hint="Unset HF_HUB_OFFLINE and start again.",
        )
    if isinstance(error, errors.GatedRepoError):
        return ModelNotFound(
            f"The repository {ref.repo} is gated: its owner has to grant you access.",
            hint=f"Ask for it on {where}/{ref.repo}, then run `hf auth login` or set HF_TOKEN.",
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return ModelNotFound(
            f"The repository {ref.repo} has no revision {ref.revision!r}.",
            hint=f"Look at {where}/{ref.repo}/commits.",
        )
    if isinstance(error, errors.RepositoryNotFoundError):
        return ModelNotFound(
            f"There is no repository {ref.repo} on {where}, or it is private.",
            hint="Check the name; for a private one run `hf auth login` or set HF_TOKEN.",
        )
    # It means "not in huggingface_hub's own cache, and the Hub did not answer".
    if isinstance(error, errors.LocalEntryNotFoundError):
        return _lost(error, ref, where, fetching)
    if isinstance(error, errors.EntryNotFoundError):
        return ModelNotFound(
            f"The repository {ref.repo} lists {fetching}, but does not have it.",
            hint="It may have changed just now; try again.",
        )
    if isinstance(error, errors.HfHubHTTPError):
        response = getattr(error, "response", None)
        status = getattr(response, "status_code", "?")
        return ModelNotFound(
            f"{where} answered {status} when asked for {fetching or ref}.",
            hint="Check your access (`hf auth login`, HF_TOKEN), or try again later.",
        )
    if isinstance(error, OSError) or type(error).__module__.split(".")[0] in _NETWORK_MODULES:
        return _lost(error, ref, where, fetching)
    return None


def _lost(error: Exception, ref: HubRef, where: str, fetching: str | None) -> NlplugError:
    *_, first = causes(error)  # what failed, such as a name that is not resolved
    cause = (str(first).strip() or type(first).__name__).split("\n")[0][:200].rstrip(".") + "."
    if fetching:
        return BundleIncomplete(
            f"Fetching {fetching} of {ref} was cut off: {cause}",
            hint="Nothing was kept. Run the command again when the network is available.",
        )
    return ModelNotFound(
        f"{ref} is not on this machine, and {where} cannot be reached: {cause}",
        hint="Check the network, or HF_ENDPOINT when you use a mirror.",
    )


def _git_sha1(path: Path) -> str:
    digest = hashlib.sha1(f"blob {path.stat().st_size}\0".encode(), usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
