"""``nlplug.json``: the manifest of a bundle; written last, so the bundle is complete."""

from __future__ import annotations

import hashlib
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from nlplug.errors import BundleCorrupt, BundleVersionError
from nlplug.json_text import parse_json
from nlplug.models.layout import MODEL_GRAPH

FORMAT_VERSION = 1
"""The newest manifest format that this release reads, and the one it writes."""

MANIFEST_FILE = "nlplug.json"
PARTIAL_FILE = "nlplug.json.partial"
"""Marks a folder that is being written; renamed to the manifest at the end."""
SIGNATURE_FILE = "model.sig"
"""The signature over the manifest and all files; see `nlplug.models.signing`."""
NOT_LISTED = frozenset({MANIFEST_FILE, PARTIAL_FILE, SIGNATURE_FILE})
"""The files of a bundle that its manifest does not list."""
DOWNLOAD_FILES = (".git", ".gitattributes", ".cache/huggingface")
"""What git and huggingface_hub add to the copy of a repository; nlplug never reads it."""

_DIGEST = "digest"

_WINDOWS_DRIVE = re.compile(r"^[A-Za-z]:")


def safe_relative(name: str) -> str:
    """``name`` when it is a posix path that stays inside its folder.

    Raises:
        ValueError: It is absolute, climbs out, or is not in its plain form.
    """
    parts = name.split("/")
    bad = "\\" in name or "\0" in name or _WINDOWS_DRIVE.match(name) is not None
    if bad or any(part in ("", ".", "..") for part in parts):
        raise ValueError(f"{name!r} is not a path inside the bundle")
    return name


class FileRecord(BaseModel):
    """One file of the bundle.

    Attributes:
        sha256: Hex digest of its content.
        size: Bytes.
    """

    model_config = ConfigDict(frozen=True)

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    size: int = Field(ge=0)


class PrecisionRecord(BaseModel):
    """One precision that the bundle offers; one that the gate refused is not listed.

    Attributes:
        file: Its ONNX file, relative to the bundle; of several the one that answers.
        graphs: Of a model of several graphs the file of each, by its name (``encoder_model``, …).
        metrics: The task's metrics, measured on this file.
        parity: How far its outputs are from those of the PyTorch model.
    """

    file: str
    graphs: dict[str, str] = {}
    metrics: dict[str, float] = {}
    parity: dict[str, float] = {}

    @property
    def by_graph(self) -> dict[str, str]:
        """The file of each graph; that of a single one is called ``model``."""
        return self.graphs or {MODEL_GRAPH: self.file}


def is_listed(name: str) -> bool:
    """Whether the manifest of a bundle lists a file, by its posix path in the bundle."""
    added = any(name == one or name.startswith(f"{one}/") for one in DOWNLOAD_FILES)
    return name not in NOT_LISTED and not added


def _sha256(text: str) -> str:
    # A lone surrogate in a value is an error of whoever writes the file, not of its digest.
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _last_line(digest: str) -> str:
    """The end of the text of a manifest, with the digest of the text."""
    return f'"{_DIGEST}": "{digest}"\n}}\n'


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


class Manifest(BaseModel):
    """Description of a bundle: contents, metrics and origin.

    Attributes:
        format_version: Version of this format.
        name: Name of the model.
        task: The nlplug task it serves (``sentiment``); empty when unknown.
        hub_task: The Hugging Face task (``text-classification``); empty when unknown.
        labels: Labels by id; empty for tasks without.
        languages: ISO 639-1 codes.
        max_length: The model's window in tokens, special tokens included.
        options: Options of its task for which this model has other defaults, such as the threshold
            it was tuned for; what a caller gives wins.
        files: Every file but the manifest, by its posix path relative to the bundle.
        precisions: What can be run, by precision.
        metrics: The task's metrics of the model as a whole.
        license: SPDX identifier or a short text.
        data: What it was trained on and measured with: one free record per data set,
            and one for the base.
        privacy: The differential privacy of its training: epsilon, delta and the mechanism; empty
            if there was none.
        tools: Version of each tool that made it.
        created: ISO 8601 time, UTC.
        description: One line.
        source: Where the weights come from: a Hub id and its commit, or the training run.
    """

    format_version: int = FORMAT_VERSION
    name: str
    task: str = ""
    hub_task: str = ""
    labels: list[str] = []
    languages: list[str] = []
    max_length: int = Field(default=512, ge=1)
    options: dict[str, Any] = {}
    files: dict[str, FileRecord] = {}
    precisions: dict[str, PrecisionRecord] = {}
    metrics: dict[str, Any] = {}
    license: str = ""
    data: list[dict[str, Any]] = []
    privacy: dict[str, Any] = {}
    tools: dict[str, str] = {}
    created: str = Field(default_factory=_now)
    description: str = ""
    source: dict[str, str] = {}

    @field_validator("files")
    @classmethod
    def _files_stay_inside(cls, files: dict[str, FileRecord]) -> dict[str, FileRecord]:
        for name in files:
            safe_relative(name)
        if MANIFEST_FILE in files:
            raise ValueError(f"{MANIFEST_FILE} cannot hold its own digest")
        return files

    @model_validator(mode="after")
    def _precisions_are_files(self) -> Manifest:
        for precision, record in self.precisions.items():
            for name in (record.file, *record.graphs.values()):
                safe_relative(name)
                # Before it is written a manifest has no files yet; the writer fills them in.
                if self.files and name not in self.files:
                    raise ValueError(f"precision {precision!r} names {name!r}, not in files")
        return self

    @property
    def size(self) -> int:
        """Bytes of all files together."""
        return sum(record.size for record in self.files.values())

    def to_json(self) -> str:
        """The text of ``nlplug.json``: indented, non-ASCII kept, with a final newline.

        The last field, ``digest``, is the sha256 of the text with an empty ``digest``.
        """
        fields = self.model_dump(mode="json") | {_DIGEST: ""}
        text = json.dumps(fields, ensure_ascii=False, indent=2) + "\n"
        return text.removesuffix(_last_line("")) + _last_line(_sha256(text))

    @classmethod
    def read_verified(cls, path: Path) -> Manifest:
        """Read a manifest file, and compare its text with its own digest.

        A manifest of an earlier release has no digest; then it may only have the known fields.

        Raises:
            BundleCorrupt: The text was changed, or as for `read`.
            BundleVersionError: As for `read`.
        """
        content = path.read_bytes()
        manifest = cls.parse(content, where=str(path))
        fields = parse_json(content)
        stated = fields.get(_DIGEST)
        if stated is None:
            same = fields.keys() <= cls.model_fields.keys()
        else:
            text = content.decode("utf-8", "replace")
            start = text.removesuffix(_last_line(str(stated)))
            same = start != text and _sha256(start + _last_line("")) == stated
        if not same:
            raise BundleCorrupt(
                f"{path} was changed: its text does not have the digest that it states.",
                hint="Restore the file. If you changed it on purpose: nlplug models seal "
                f"{path.parent}",
            )
        return manifest

    @classmethod
    def read(cls, path: Path) -> Manifest:
        """Read a manifest file.

        Raises:
            BundleCorrupt: It is not JSON, or not a manifest.
            BundleVersionError: A newer nlplug wrote it.
        """
        return cls.parse(path.read_bytes(), where=str(path))

    @classmethod
    def parse(cls, text: str | bytes, *, where: str) -> Manifest:
        """Parse a manifest's text; ``where`` names it in errors. Raises as ``read`` does."""
        again = (
            "Write the bundle again (`nlplug export`, `nlplug models pull`) or restore the file."
        )
        try:
            raw = parse_json(text)
        except ValueError as error:
            raise BundleCorrupt(f"{where} is not valid JSON: {error}.", hint=again) from None
        version = raw.get("format_version") if isinstance(raw, dict) else None
        if type(version) is not int or version < 1:
            raise BundleCorrupt(
                f"{where} is not a manifest: format_version is {version!r}, not a positive "
                "integer.",
                hint=again,
            )
        if version > FORMAT_VERSION:
            raise BundleVersionError(
                f"{where} has format version {version}; this nlplug reads up to {FORMAT_VERSION}.",
                hint="pip install --upgrade nlplug",
            )
        try:
            return cls.model_validate(raw)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            field = ".".join(str(part) for part in first["loc"])
            raise BundleCorrupt(
                f"{where} is not a valid manifest: {field + ': ' if field else ''}{first['msg']}.",
                hint=again,
            ) from None
