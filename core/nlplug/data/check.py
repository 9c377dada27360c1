"""Checks labelled rows before they are used: what they hold, and what looks wrong.

The checks need neither the model nor a training library. Each is one pass over the rows.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from nlplug.data.contents import Content, Contents
from nlplug.data.findings import MISSING, SHOWN, Finding, Severity, balance, rows_of, spellings
from nlplug.data.report import ReadReport
from nlplug.data.rows import DataRow, column_of
from nlplug.errors import DataError
from nlplug.text.language import foreign_language
from nlplug.text.words import alike, in_word

_MOST_ERRORS = 100
"""Rows that are left out one by one to find more errors."""
_LONG = 0.01
"""Share of long or foreign texts, or of spans that cut words, that is worth a warning."""
_LANGUAGES_OF = 1000
"""Training texts whose language is guessed."""
_NAMES_AND_NUMBERS = re.compile(r"'[^']*'|\"[^\"]*\"|-?\d+(\.\d+)?")
# UTF-8 that was read as cp1252: 'é' became 'Ã©', a quotation mark 'â€™'.
_MISREAD = re.compile("Ã[\u00a0-\u00bf\u0080-\u009f]|â€[™œ\u009d“”¢¦]|\ufffd")


@dataclass(frozen=True)
class Lengths:
    """Lengths of the texts of the training rows.

    Attributes:
        unit: ``tokens``, or ``characters`` if the tokenizer of the base is not available.
        longest: Length of the longest of the measured texts.
        mean: Mean length.
        window: Window of the training in the same unit.
        longer: Share of the measured texts that are longer than the window.
    """

    unit: str
    longest: int
    mean: float
    window: int
    longer: float


@dataclass
class DataCheck:
    """What was understood of the data, and what looks wrong.

    Attributes:
        files: One line per file: rows, format, encoding, columns, skipped rows.
        rows: Number of rows by part: ``train``, ``eval``, ``test``.
        columns: Field of the task → column that fills it.
        labels: Number of training rows by label.
        labelling: How the labels are written, as `Contents.labelling`.
        lengths: Lengths of the training texts; None without rows.
        findings: What looks wrong, errors first.
        errors: The errors that training would raise, in the order of the rows.
        estimate: How long the training is likely to take, as a sentence; empty if not known.
    """

    files: list[str] = field(default_factory=list)
    rows: dict[str, int] = field(default_factory=dict)
    columns: dict[str, str] = field(default_factory=dict)
    labels: dict[str, int] = field(default_factory=dict)
    labelling: str = ""
    lengths: Lengths | None = None
    findings: list[Finding] = field(default_factory=list)
    errors: list[DataError] = field(default_factory=list)
    estimate: str = ""

    def count(self, severity: Severity) -> int:
        """Number of findings of a severity."""
        return sum(finding.severity == severity for finding in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """The check as JSON values."""
        return {
            "files": self.files,
            "rows": self.rows,
            "columns": self.columns,
            "labels": self.labels,
            "labelling": self.labelling,
            "lengths": asdict(self.lengths) if self.lengths else None,
            "findings": [asdict(finding) for finding in self.findings],
            "estimate": self.estimate,
        }

    def __str__(self) -> str:
        """Some lines for a terminal."""
        lines = list(self.files)
        parts = ", ".join(f"{count:,} for {name}" for name, count in self.rows.items())
        lines.append(f"Rows: {parts}.")
        if self.columns:
            pairs = (f"{name} from column {at!r}" for name, at in self.columns.items())
            lines.append(f"Columns: {', '.join(pairs)}.")
        if self.labelling:
            lines.append(f"The labels are {self.labelling}.")
        if self.labels:
            most = sorted(self.labels.items(), key=lambda item: -item[1])
            shown = ", ".join(f"{name} {count:,}" for name, count in most[:10])
            more = f", and {len(most) - 10:,} more" if len(most) > 10 else ""
            lines.append(f"Labels of the training rows: {shown}{more}.")
        if (size := self.lengths) is not None:
            lines.append(
                f"Length: {size.mean:,.0f} {size.unit} on average, at most {size.longest:,}; "
                f"the window has {size.window:,}."
            )
        lines += map(str, self.findings)
        if self.estimate:
            lines.append(self.estimate)
        return "\n".join(lines)


def check_rows(
    contents: Contents,
    parts: Mapping[str, Sequence[DataRow]],
    reports: Sequence[ReadReport],
    *,
    shortage: DataError | None = None,
    lengths: Callable[[Sequence[str]], Lengths | None] = lambda texts: None,
    languages: Sequence[str] = (),
) -> DataCheck:
    """Check rows.

    Args:
        contents: Reads the rows of the family.
        parts: The rows by the part that they have in a run; ``train`` is the first.
        reports: What was understood of the files.
        shortage: Why the rows are too few for a run; the last of the errors, because an error of a
            row may be the reason.
        lengths: Measures texts.
        languages: Codes of the languages that the base knows; empty: not known.
    """
    check = DataCheck(files=[str(report) for report in reports])
    skipped: Counter[str] = Counter()
    for report in reports:
        skipped.update(report.skipped)
    check.rows = {name: len(rows) for name, rows in parts.items()}
    refused = _Refused()
    fitting = _fit(contents, parts["train"], refused)
    read = {
        name: _read(contents, fitting if name == "train" else rows, refused)
        for name, rows in parts.items()
        if fitting
    }
    if shortage is not None:
        refused.add(shortage)
    check.errors = refused.errors
    check.findings += refused.findings(skipped)
    train = read.get("train", [])
    if train:
        row, item = train[0]
        check.columns = {name: column_of(at, row.values) or at for name, at in item.columns}
        check.labelling = contents.labelling
        check.labels = dict(Counter(label for _, item in train for label in item.labels))
        check.lengths = lengths([item.text for _, item in train])
    for name, rows in list(read.items())[1:]:
        check.findings += _leaks(train, rows, name)
    check.findings += [
        *_contradictions(train),
        *_duplicates(train),
        *spellings(check.labels),
        *balance(
            check.labels,
            {
                name: {label for _, item in rows for label in item.labels}
                for name, rows in read.items()
                if name != "train" and rows
            },
        ),
        *_long(check.lengths),
        *_suspect(train, "encoding", "Text that was read in a wrong encoding", _MISREAD.search),
        *_suspect(train, "empty_text", "Texts look like missing values", _is_missing),
        *_foreign(train, languages),
        *_cut_words(train),
    ]
    order = ("error", "warning", "note")
    check.findings.sort(key=lambda finding: order.index(finding.severity))
    return check


_Read = list[tuple[DataRow, Content]]


@dataclass
class _Refused:
    """What cannot be used, and why.

    Attributes:
        errors: The errors, in the order in which they were found.
        rows: Errors of rows alike in all but names and numbers → their reasons and places.
        whole: Errors that concern more than a row.
        left_off: Whether there may be more rows with the same errors.
    """

    errors: list[DataError] = field(default_factory=list)
    rows: dict[str, list[tuple[str, str, str]]] = field(default_factory=lambda: defaultdict(list))
    whole: list[DataError] = field(default_factory=list)
    left_off: bool = False

    def add(self, error: DataError, row: DataRow | None = None) -> None:
        self.errors.append(error)
        if row is None:
            self.whole.append(error)
            return
        reason = error.message.removeprefix(row.where).partition(": ")[2].rstrip(".")
        kind = _NAMES_AND_NUMBERS.sub("", reason)
        self.rows[kind].append((reason, row.where, error.hint or ""))

    def findings(self, skipped: Counter[str]) -> Iterable[Finding]:
        """One finding per kind of error.

        Rows come first: what is wrong with all of the data is often only a consequence.
        """
        for found in self.rows.values():
            reason, _, hint = found[0]
            count = f"{'at least ' * self.left_off}{rows_of(len(found))}"
            first = "for example " * (len({other for other, _, _ in found}) > 1)
            places = tuple(where for _, where, _ in found[:SHOWN])
            yield Finding("error", "row", f"{count}: {first}{reason}", len(found), places, hint)
        for reason, number in skipped.items():
            yield Finding("error", "row", f"{rows_of(number)} cannot be read: {reason}", number)
        for error in self.whole:
            yield Finding("error", "data", error.message, 0, hint=error.hint or "")


def _fit(contents: Contents, rows: Sequence[DataRow], refused: _Refused) -> list[DataRow]:
    """Fit to the rows that can be used; none if something else than a row is wrong."""
    left = list(rows)
    while left:
        try:
            contents.fit(left)
        except DataError as error:
            at = next((at for at, row in enumerate(left) if _is_of(error, row)), None)
            refused.add(error, None if at is None else left[at])
            refused.left_off = len(refused.errors) >= _MOST_ERRORS
            if at is None or refused.left_off:
                return []
            del left[at]
        else:
            return left
    return []  # no row, or each has its error, which says more than that there are none


def _is_of(error: DataError, row: DataRow) -> bool:
    """Whether an error begins with the place of a row, as all errors of rows do."""
    return error.message.startswith((f"{row.where}: ", f"{row.where} ("))


def _read(contents: Contents, rows: Sequence[DataRow], refused: _Refused) -> _Read:
    found = []
    for row in rows:
        try:
            found.append((row, contents.content(row)))
        except DataError as error:
            refused.add(error, row)
    return found


def _leaks(train: _Read, rows: _Read, part: str) -> Iterable[Finding]:
    exact = {item.text for _, item in train}
    same = [row.where for row, item in rows if item.text in exact]
    if same:
        message = (
            f"{len(same):,} of {rows_of(len(rows))} for {part} "
            f"{'has' if len(same) == 1 else 'have'} a text that is also in the training data, so "
            "the score will be too high"
        )
        yield Finding("warning", "leak", message, len(same), tuple(same[:SHOWN]))
    folded = {alike(item.text) for _, item in train}
    near = [
        row.where for row, item in rows if item.text not in exact and alike(item.text) in folded
    ]
    if near:
        message = (
            f"{len(near):,} of {rows_of(len(rows))} for {part} differ{'s' * (len(near) == 1)} "
            "from a training text only in case, spaces or punctuation"
        )
        yield Finding("warning", "near_leak", message, len(near), tuple(near[:SHOWN]))


def _contradictions(train: _Read) -> Iterable[Finding]:
    answers: dict[str, set[str]] = defaultdict(set)
    rows: dict[str, list[DataRow]] = defaultdict(list)
    for row, item in train:
        if item.answer is not None:
            answers[item.text].add(item.answer)
            rows[item.text].append(row)
    found = [text for text, given in answers.items() if len(given) > 1]
    if found:
        count = sum(len(rows[text]) for text in found)
        first = rows[found[0]]
        message = (
            f"{len(found):,} training text{'s' * (len(found) > 1)} "
            f"occur{'s' * (len(found) == 1)} with different answers, in {rows_of(count)}"
        )
        places = tuple(row.where for row in first[:SHOWN])
        yield Finding("warning", "contradiction", message, count, places)


def _duplicates(train: _Read) -> Iterable[Finding]:
    seen: set[tuple[str, str | None]] = set()
    again = []
    for row, item in train:
        if (item.text, item.answer) in seen:
            again.append(row.where)
        seen.add((item.text, item.answer))
    if again:
        message = (
            f"{rows_of(len(again))} for training repeat{'s' * (len(again) == 1)} an earlier one"
        )
        yield Finding("note", "duplicate", message, len(again), tuple(again[:SHOWN]))


def _long(lengths: Lengths | None) -> Iterable[Finding]:
    if lengths is not None and lengths.longer > 0:
        message = (
            f"{lengths.longer:.1%} of the training texts are longer than the window of "
            f"{lengths.window:,} {lengths.unit}; each epoch trains on one window of such a text"
        )
        yield Finding("warning" if lengths.longer > _LONG else "note", "long_text", message, 0)


def _suspect(
    train: _Read, kind: str, what: str, is_suspect: Callable[[str], object]
) -> Iterable[Finding]:
    found = [row.where for row, item in train if is_suspect(item.text)]
    if found:
        message = f"{what}, in {rows_of(len(found))}"
        yield Finding("warning", kind, message, len(found), tuple(found[:SHOWN]))


def _is_missing(text: str) -> bool:
    return text.strip().casefold() in MISSING


def _foreign(train: _Read, known: Sequence[str]) -> Iterable[Finding]:
    chosen = train[:: max(1, len(train) // _LANGUAGES_OF)] if known else []
    others: Counter[str] = Counter()
    places = []
    for row, item in chosen:
        if found := foreign_language(item.text, known):
            others[found] += 1
            places.append(row.where)
    if places:
        listed = ", ".join(f"{name} {count:,}" for name, count in others.most_common(5))
        message = (
            f"{len(places):,} of {len(chosen):,} training texts are in a language that the base "
            f"does not know (it knows {', '.join(known)}): {listed}"
        )
        severity: Severity = "warning" if len(places) > _LONG * len(chosen) else "note"
        yield Finding(severity, "language", message, len(places), tuple(places[:SHOWN]))


def _cut_words(train: _Read) -> Iterable[Finding]:
    """Offsets that count bytes, or whose end is the last character, fall into words."""
    places = []
    for row, item in train:
        for start, end in item.spans:
            if in_word(item.text, start) or in_word(item.text, end):
                places.append(row.where)
    if places:
        total = sum(len(item.spans) for _, item in train)
        message = f"{len(places):,} of {total:,} spans begin or end inside a word"
        severity: Severity = "warning" if len(places) > _LONG * total else "note"
        hint = "Offsets count characters (not bytes) from 0, and the end is exclusive."
        rows = tuple(dict.fromkeys(places))
        yield Finding(severity, "cut_word", message, len(rows), rows[:SHOWN], hint)
