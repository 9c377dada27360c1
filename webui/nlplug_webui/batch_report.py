"""How a batch is shown: progress, summary, first rows, and the rows that were skipped."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape

from nlplug_webui.batch import FileLook, Progress, Tally
from nlplug_webui.messages import foreign_html
from nlplug_webui.notices import notices_html
from nlplug_webui.texts import duration, say

_LABELS_SHOWN = 12
_TEXTS_SHOWN = 12
_LONG_WORD = re.compile(r"\S{24}(?=\S)")


def progress_html(now: Progress, language: str, downloads: str = "") -> str:
    """Progress bar, speed, summary and first rows of a batch; the links to its files if given."""
    finished = now.csv is not None
    over = now.done + now.skipped
    share = 100.0 if finished and not now.stopped else 100.0 * over / max(now.total, 1)
    bar = (
        f'<div class="np-progress" role="progressbar" '
        f'aria-label="{escape(say("batch_progress", language))}" '
        f'aria-valuemin="0" aria-valuemax="100" aria-valuenow="{share:.0f}">'
        f'<span style="width:{share:.1f}%"></span></div>'
    )
    parts = [_line_html(now, language), bar, downloads]
    if now.watched is not None:
        parts.insert(1, foreign_html(now.watched.foreign, language))
        parts.insert(2, notices_html(now.watched.messages(), language))
    if finished and now.excel is None:
        parts.append(f'<p class="np-note">{escape(say("no_excel", language))}</p>')
    parts.append(_skipped_html(now, language))
    if finished:
        parts.append(summary_html(now.tally, language))
    if now.preview:
        heads = [say(key, language) for key in ("number", "col_text", "answer")]
        rows = [
            (str(line), _cell_html(text), f"<strong>{_cell_html(answer)}</strong>")
            for line, text, answer in now.preview
        ]
        parts.append(_table_html(heads, rows))
    if now.done > len(now.preview):
        shown = say("rows_shown", language, n=len(now.preview))
        parts.append(f'<p class="np-note">{escape(shown)}</p>')
    return "".join(parts)


def downloads_html(id: str, files: Iterable[str], language: str) -> str:
    """Links to the files of a batch.

    Args:
        id: Of the batch.
        files: Their kinds, of `nlplug_webui.batch_store.KINDS`.
        language: Language of the links.
    """
    links = "".join(
        f'<a class="np-button" id="download-{kind}" download href="./np-batches/{id}/{kind}">'
        f"{escape(say(f'download_{kind}', language))}</a>"
        for kind in files
    )
    return f'<p class="np-downloads">{links}</p>'


def waiting_html(language: str) -> str:
    """The message that other files are processed first."""
    return f'<p class="np-note" role="status">{escape(say("batch_waiting", language))}</p>'


def look_html(found: FileLook, language: str) -> str:
    """What was read from a file before it is processed: its size, how it was read, first rows."""
    ready = say("batch_ready", language, n=f"{found.rows:,}")
    heads = [say("number", language), *found.columns]
    rows = [(str(line), *map(_cell_html, cells)) for line, cells in found.first]
    parts = [
        f'<p class="np-progress-line">{escape(ready)}</p>',
        f'<p class="np-note">{escape(found.understood)}</p>',
        _table_html(heads, rows),
    ]
    if found.rows > len(rows):
        shown = say("rows_of", language, n=len(rows), total=f"{found.rows:,}")
        parts.append(f'<p class="np-note">{escape(shown)}</p>')
    return "".join(parts)


def summary_html(tally: Tally, language: str) -> str:
    """How often each label occurs, as bars, and the most frequent marked texts."""
    if not tally.labels:
        return ""
    most = max(tally.labels.values())
    bars = "".join(
        _bar_html(
            label,
            say(
                "batch_label_count",
                language,
                n=f"{count:,}",
                score=f"{tally.scores[label] / count:.1%}",
            ),
            100.0 * count / most,
        )
        for label, count in tally.labels.most_common(_LABELS_SHOWN)
    )
    more = len(tally.labels) - _LABELS_SHOWN
    note = f'<p class="np-note">{escape(say("more", language, n=more))}</p>' if more > 0 else ""
    note += _scores_html(tally.bins, language)
    texts = ""
    if tally.texts:
        chips = "".join(
            f'<span class="np-chip">{escape(text)} · {escape(label)} {count:,}</span>'
            for (text, label), count in tally.texts.most_common(_TEXTS_SHOWN)
        )
        title = escape(say("batch_texts", language))
        texts = f'<p class="np-counts"><strong>{title}</strong>{chips}</p>'
    title = escape(say("batch_summary", language))
    return (
        f'<section class="np-summary" aria-label="{title}"><h3>{title}</h3>'
        f'<ul class="np-bars">{bars}</ul>{note}{texts}</section>'
    )


def _scores_html(bins: Sequence[int], language: str) -> str:
    """How many scores are in each tenth, as columns with their numbers."""
    if not sum(bins):
        return ""
    most = max(bins)
    columns = "".join(
        f"<li><span>{count:,}</span>"
        f'<span class="np-columns-bar" style="--share:{count / most:.3f}"></span>'
        f"<small>{place / 10:.1f}–{(place + 1) / 10:.1f}</small></li>"
        for place, count in enumerate(bins)
    )
    title = escape(say("batch_scores", language))
    return f'<h4>{title}</h4><ol class="np-columns" aria-label="{title}">{columns}</ol>'


def _line_html(now: Progress, language: str) -> str:
    done, total = f"{now.done:,}", f"{now.total:,}"
    time = duration(now.seconds)
    rate = f"{now.done / now.seconds:,.0f}" if now.seconds else "–"
    told = [say("batch_rate", language, rate=rate)]
    if now.stopped:
        line = say("batch_stopped", language, n=done, total=total, time=time)
    elif now.csv is not None:
        line = say("batch_done", language, n=done, time=time)
    else:
        line = say("batch_running", language, done=done, total=total)
        if now.left is not None:
            told.append(say("batch_left", language, time=duration(now.left)))
    return (
        f'<p class="np-progress-line"><strong>{escape(line)}</strong>'
        f"<span>{escape(' · '.join(told))}</span></p>"
    )


def _skipped_html(now: Progress, language: str) -> str:
    if not now.skipped:
        return ""
    title = escape(say("batch_skipped", language, n=f"{now.skipped:,}"))
    heads = [say(key, language) for key in ("number", "reason")]
    table = _table_html(heads, [(str(line), escape(reason)) for line, reason in now.reasons])
    return f'<details class="np-skipped"><summary>{title}</summary>{table}</details>'


def _bar_html(name: str, told: str, width: float) -> str:
    return (
        f'<li class="np-bar"><span class="np-bar-name">{escape(name)}</span>'
        f'<span class="np-bar-score">{escape(told)}</span><span class="np-bar-track">'
        f'<span class="np-bar-fill" style="width:{width:.2f}%"></span></span></li>'
    )


def _cell_html(text: str) -> str:
    """A text in which long words can be broken, so that the columns beside it stay in sight."""
    return escape(_LONG_WORD.sub("\\g<0>\0", text)).replace("\0", "<wbr>")


def _table_html(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table whose first column has numbers; the cells are HTML."""
    head = "".join(f"<th>{escape(name)}</th>" for name in heads)
    body = "".join(
        f'<tr><td class="np-num">{first}</td>{"".join(f"<td>{cell}</td>" for cell in rest)}</tr>'
        for first, *rest in rows
    )
    return (
        f'<div class="np-table np-table-tall"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )
