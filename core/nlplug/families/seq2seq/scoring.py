"""Scores of translations and other generated texts: chrF and BLEU by sacrebleu."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from nlplug.data.pairs import pairs_of
from nlplug.evaluation.base import Evaluation, Sample, check_columns
from nlplug.extras import require

if TYPE_CHECKING:
    from nlplug.data.formats import DataFile
    from nlplug.task import TaskOptions

_COLUMNS = ("text", "label")


class TranslationEvaluation(Evaluation):
    """chrF and BLEU (0 to 100) of the pipeline's answers with its own options.

    Rows are ``{"translation": {"en": …, "fr": …}}`` or have the columns ``source`` and ``target``.
    In a row with several languages, the pipeline's options ``src_lang`` and ``tgt_lang`` select the
    languages; by default they are the first two. Rows with the same source are scored separately.
    """

    metric: ClassVar[str] = "chrf"
    scale: ClassVar[float] = 100.0
    errors_title: ClassVar[str] = "Worst answers by chrF"
    target_columns: ClassVar[Sequence[str]] = ("translation", "target")

    def __init__(self, labels: Sequence[str]) -> None:
        super().__init__(labels)
        self._languages: tuple[str, str] = ("", "")
        self._decoding = ""

    def configure(self, options: TaskOptions) -> None:
        given = options.model_dump()  # tasks of several languages have options for them
        self._languages = (given.get("src_lang") or "", given.get("tgt_lang") or "")
        beams = given["num_beams"]
        self._decoding = f"beam {beams}" if beams > 1 else "greedy"
        if given["do_sample"]:
            self._decoding = "sampled"

    def samples(self, path: Path | DataFile, **columns: str) -> Iterator[Sample]:
        """The pairs of a file.

        Args:
            path: The file.
            **columns: ``text`` and ``label``: languages or columns of the source and of the
                right answer.
        """
        from nlplug.data.readers import read_rows

        check_columns(columns, _COLUMNS)
        for row in read_rows(path):
            plain = all(name in row.values for name in ("source", "target"))
            source, target = ("", "") if plain else self._languages
            source, target = columns.get("text", source), columns.get("label", target)
            pair = pairs_of(row, source, [target] if target else [])[0]
            yield Sample({"text": pair.source}, pair.target, row.where)

    def per_example(self, answers: Sequence[Any], targets: Sequence[Any]) -> np.ndarray:
        """The chrF of each answer, 0 to 1."""
        metrics = require("sacrebleu", "train", purpose="Scoring translations")
        pairs = zip(map(text_of, answers), targets, strict=True)
        return np.array([metrics.sentence_chrf(text, [right]).score / 100 for text, right in pairs])

    def decision(self, answer: Any) -> str:
        """The text of the answer."""
        return text_of(answer)

    def report(self, answers: Sequence[Any], targets: Sequence[Any]) -> dict[str, Any]:
        """Corpus ``chrf`` and ``bleu`` of all rows, with sacrebleu's signatures."""
        chrf, bleu = corpus_scores([text_of(answer) for answer in answers], targets)
        return {
            "rows": len(answers),
            "chrf": chrf.score,
            "bleu": bleu.score,
            "decoding": self._decoding,
            "chrf_signature": chrf.signature,
            "bleu_signature": bleu.signature,
        }


@dataclass(frozen=True)
class CorpusScore:
    """A score of sacrebleu (0 to 100) with its signature."""

    score: float
    signature: str


def corpus_scores(texts: Sequence[str], right: Sequence[str]) -> tuple[CorpusScore, CorpusScore]:
    """Corpus chrF and BLEU of texts with one reference each.

    Raises:
        MissingExtra: sacrebleu is not installed.
    """
    metrics = require("sacrebleu.metrics", "train", purpose="Scoring translations")
    chinese = any("\u4e00" <= letter <= "\u9fff" for letter in chain.from_iterable(right))
    chrf, bleu = (
        CorpusScore(
            float(metric.corpus_score(list(texts), [list(right)]).score),
            str(metric.get_signature()),
        )
        for metric in (metrics.CHRF(), metrics.BLEU(tokenize="zh" if chinese else "13a"))
    )
    return chrf, bleu


def text_of(answer: Any) -> str:
    """The text of an answer under any key; the first of several versions."""
    if isinstance(answer, str):
        return answer
    if isinstance(answer, Mapping):
        return next((value for value in answer.values() if isinstance(value, str)), "")
    return text_of(answer[0]) if answer else ""
