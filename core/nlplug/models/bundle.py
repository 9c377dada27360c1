"""A model bundle: a folder in the Hub's layout, with ``nlplug.json`` when nlplug wrote it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from nlplug.errors import BundleCorrupt, BundleError, BundleIncomplete, ModelNotFound, OptionError
from nlplug.models.files import AGAIN, changed_hint, hint_of
from nlplug.models.layout import (
    CONFIG_FILE,
    CONFIG_MARK,
    MODEL_GRAPH,
    NO_LIMIT,
    find_graphs,
    run_together,
)
from nlplug.models.manifest import MANIFEST_FILE, PARTIAL_FILE, Manifest, PrecisionRecord
from nlplug.models.repository import Repository, find_file
from nlplug.models.signature import Signature
from nlplug.models.verify import check_unlisted, verify_folder


@dataclass(frozen=True)
class Bundle:
    """One model on disk.

    Attributes:
        path: The folder.
        name: The manifest's name, else the folder's.
        manifest: None for a folder in the Hub's layout that nlplug did not write.
        repository: What its files say about tokens, labels and lengths.
        graphs: ONNX files by graph (``model``, ``encoder_model``, …) and precision.
    """

    path: Path
    name: str
    manifest: Manifest | None
    repository: Repository = field(repr=False)
    graphs: dict[str, dict[str, Path]] = field(repr=False)

    @classmethod
    def open(cls, path: Path, *, verify: bool = False, graphs: bool = True) -> Bundle:
        """Open a folder; checks that every file is there with its size, in a few milliseconds.

        Args:
            path: The folder.
            verify: Also compare every file with its sha256.
            graphs: Whether it must hold a graph; a model in training has none yet.

        Raises:
            ModelNotFound: There is no such folder.
            BundleIncomplete: A file or the manifest is missing: a write or a copy was cut off.
            BundleCorrupt: A file is not what the manifest says, or is broken JSON.
            BundleVersionError: A newer nlplug wrote it.
        """
        path = Path(path)
        _check_folder(path)
        repository = Repository.read(path)
        manifest = _read_manifest(path, repository.config)
        if manifest is not None:
            _check_sizes(path, manifest)
            names = list(manifest.files)
        else:
            names = [
                file.relative_to(path).as_posix()
                for pattern in ("*.onnx", "onnx/*.onnx")
                for file in path.glob(pattern)
            ]
        found = {
            graph: {precision: path / name for precision, name in files.items()}
            for graph, files in find_graphs(names).items()
        }
        if manifest is not None and manifest.precisions:
            listed: dict[str, dict[str, Path]] = {}
            for precision, record in manifest.precisions.items():
                for graph, name in record.by_graph.items():
                    listed.setdefault(graph, {})[precision] = path / name
            found |= listed
        if graphs and not found:
            raise BundleIncomplete(
                f"{path} holds no ONNX file (looked for onnx/*.onnx and *.onnx).",
                hint=f"Export it first: nlplug export {path} --output FOLDER",
            )
        bundle = cls(
            path=path,
            name=manifest.name if manifest else path.resolve().name,
            manifest=manifest,
            repository=repository,
            graphs=found,
        )
        if verify:
            bundle.verify()
        return bundle

    @property
    def config(self) -> Mapping[str, Any]:
        """``config.json``."""
        return self.repository.config

    @property
    def precisions(self) -> dict[str, Path]:
        """The ONNX file that answers, by precision: ``fp32``, ``fp16``, ``int8``, ``uint8``, …

        Of an encoder and a decoder it is the decoder's, for the precisions that both have.
        """
        main, *others = run_together(self.graphs) or (MODEL_GRAPH,)
        return {
            precision: file
            for precision, file in self.graphs.get(main, {}).items()
            if all(precision in self.graphs[other] for other in others)
        }

    def onnx_file(self, precision: str, graph: str | None = None) -> Path:
        """The ONNX file of a precision.

        Args:
            precision: One of ``precisions``.
            graph: One of ``graphs``, such as ``encoder_model``; None for the one that answers.

        Raises:
            OptionError: The bundle has no such precision; the message lists those it has.
            BundleError: None of its graphs is known to answer.
        """
        files = self.precisions if graph is None else self.graphs.get(graph, {})
        if not files and graph is None:
            raise BundleError(
                f"{self.path} holds the graphs {', '.join(sorted(self.graphs))}; it is not clear "
                "which one to use.",
                hint="Rename the file of the right graph to onnx/model.onnx.",
            )
        try:
            return files[precision]
        except KeyError:
            raise OptionError(
                f"The model {self.name!r} has no precision {precision!r}"
                f"{f' of the graph {graph!r}' if graph else ''}.",
                hint=f"It has: {', '.join(sorted(files)) or 'none'}.",
            ) from None

    def record(self, precision: str) -> PrecisionRecord:
        """The manifest's entry of a precision; without a manifest, only its files.

        Raises:
            OptionError: The bundle has no such precision.
        """
        file = self.onnx_file(precision)
        if self.manifest is not None and precision in self.manifest.precisions:
            return self.manifest.precisions[precision]
        found = run_together(self.graphs)
        graphs = {name: self.onnx_file(precision, name) for name in found if len(found) > 1}
        return PrecisionRecord(
            file=file.relative_to(self.path).as_posix(),
            graphs={name: path.relative_to(self.path).as_posix() for name, path in graphs.items()},
        )

    def signature(self, precision: str, graph: str | None = None) -> Signature:
        """The inputs and outputs of a graph; arguments and errors as for `onnx_file`.

        Raises:
            BundleError: The file is not an ONNX graph.
        """
        return Signature.read(self.onnx_file(precision, graph))

    @property
    def scales_by_batch(self) -> list[str]:
        """The precisions in which the scores of a text depend on the other texts of its batch.

        Raises:
            BundleError: A file is not an ONNX graph.
        """
        return [
            precision
            for precision in self.precisions
            if any(
                Signature.read(files[precision]).scales_by_batch
                for files in self.graphs.values()
                if precision in files
            )
        ]

    @property
    def tokenizer_file(self) -> Path:
        """See `Repository.tokenizer_file`."""
        return self.repository.tokenizer_file

    @cached_property
    def id2label(self) -> dict[int, str]:
        """Label by id, from the manifest, else from the config.

        Raises:
            BundleCorrupt: The config's ``id2label`` is malformed.
        """
        if self.manifest and self.manifest.labels:
            return dict(enumerate(self.manifest.labels))
        return self.repository.id2label

    @property
    def labels(self) -> list[str]:
        """The labels in the order of their ids."""
        return list(self.id2label.values())

    @cached_property
    def max_length(self) -> int:
        """The model's window in tokens, special tokens included.

        Raises:
            BundleError: The graph's file is not an ONNX graph.
        """
        stated = self.repository.window if self.manifest is None else self.manifest.max_length
        files = self.graphs.get(MODEL_GRAPH)
        if run_together(self.graphs) != (MODEL_GRAPH,) or not files:
            return stated
        signature = Signature.read(next(iter(files.values())))
        if signature.task == "text generation" and not (self.manifest and self.manifest.task):
            # As in transformers, where the length in the tokenizer's files does not end a text.
            stated = self.repository.positions or NO_LIMIT
        return min({stated, *signature.fixed(1)})

    @cached_property
    def languages(self) -> list[str]:
        """Codes of the languages of the model, such as ``en``; empty if not stated.

        They are those of the manifest, else those of the card, ``README.md``.
        """
        stated = self.manifest.languages if self.manifest else []
        return list(stated) or self.repository.card_languages

    @property
    def options(self) -> dict[str, Any]:
        """Options of the task for which this model has other defaults."""
        return dict(self.manifest.options) if self.manifest else {}

    def verify(self) -> None:
        """Compare the files of the folder with its manifest.

        Every file has its sha256, the manifest too; no file is missing, none is not listed, and no
        link leaves the folder.

        Raises:
            BundleError: Something is not as it should be; the message says which file.
        """
        verify_folder(self.path, self.manifest)
        if self.manifest is not None:
            check_unlisted(self.path, Manifest.read_verified(self.path / MANIFEST_FILE))


def _check_folder(path: Path) -> None:
    if not path.exists():
        raise ModelNotFound(f"There is no folder {path}.", hint="Check the path.")
    if not path.is_dir():
        raise BundleError(f"{path} is a file, not a model folder.", hint="Name its folder instead.")
    # The manifest decides: a partial marker next to it is a harmless leftover.
    if (path / PARTIAL_FILE).exists() and not (path / MANIFEST_FILE).exists():
        raise BundleIncomplete(
            f"{path} is incomplete: it holds {PARTIAL_FILE}, but not {MANIFEST_FILE}.",
            hint=f"Delete the folder, and run the command that was writing it again. {AGAIN}",
        )
    if find_file(path, CONFIG_FILE) is None:
        raise BundleIncomplete(
            f"{path} is not a model folder: it holds no {CONFIG_FILE}.",
            hint="Name a folder with config.json, tokenizer.json and onnx/model.onnx.",
        )


def _read_manifest(path: Path, config: Mapping[str, Any]) -> Manifest | None:
    if (path / MANIFEST_FILE).is_file():
        return Manifest.read(path / MANIFEST_FILE)
    if CONFIG_MARK in config:
        raise BundleIncomplete(
            f"{path} was written by nlplug, but its manifest {MANIFEST_FILE} is missing.",
            hint=f"A copy or download of it was cut off. {AGAIN}",
        )
    return None


def _check_sizes(path: Path, manifest: Manifest) -> None:
    for name, record in manifest.files.items():
        try:
            size = (path / name).stat().st_size
        except (FileNotFoundError, NotADirectoryError):
            raise BundleIncomplete(
                f"{path} is incomplete: {name} is missing.", hint=AGAIN
            ) from None
        if size != record.size:
            raise BundleCorrupt(
                f"{path / name} has {size} bytes; the manifest says {record.size}.",
                hint=hint_of(path / name, changed_hint(path)),
            )
