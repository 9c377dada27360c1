"""The tables of the decoding benchmarks, and their bars."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from arena import Record
from bar import Bar
from decoding_race import Decoded, Streaming
from parts import DECODING, FIRST_TOKEN_PASSES, MEMORY_SHARE, OURS

TITLES = {
    "transformers": "transformers `generate`, fp32",
    "optimum": "optimum `generate`, fp32",
    "ctranslate2-fp32": "CTranslate2, fp32",
    "ctranslate2-int8": "CTranslate2, int8",
    "genai-int8": "onnxruntime-genai, int8",
    "nlplug-fp32": "**nlplug, fp32**",
    "nlplug-int8": "**nlplug, int8**",
    "nlplug-int8-blocks": "**nlplug, int8 in blocks**",
}
"""By the last parts of a contender's name."""
_LABELS = {"generation": "GPT-2", "llama": "Llama", "translation": "translation"}


def decoding_bars(decoding: Mapping[str, Decoded], streams: Streaming) -> list[Bar]:
    """The goals, of the cases that were run."""
    found: list[Bar] = []
    for key, measured in decoding.items():
        shape = DECODING[key].shape
        for goal in DECODING[key].goals:
            best, ours = _best(measured, shape, goal.case, OURS)
            peers = goal.peers or (best,)
            peer, theirs = _best(measured, shape, goal.against or goal.case, peers)
            if ours and theirs:
                title = f"{_LABELS[key]}, {goal.case}: {best.removeprefix('nlplug-')} over "
                title += peer if goal.peers else goal.against
                found.append(Bar(title, goal.least, ours / theirs, "×", True))
    for prompt, (bare, first) in streams.passes.items():
        title = f"first streamed token after a prompt of {prompt}, in bare passes of it"
        found.append(Bar(title, FIRST_TOKEN_PASSES, first / bare, "×", False))
    if streams.memory:
        new, (grown, _, whole) = min(streams.memory.items(), key=lambda item: int(item[0]))
        title = f"memory for {new} new tokens, of the cache for the whole context"
        found.append(Bar(title, MEMORY_SHARE, grown / whole, "×", False))
    return found


def identical(record: Record, reference: Record) -> float:
    """The share of texts that have exactly the tokens of the reference, from 0 to 1."""
    pairs = list(zip(record.answers, reference.answers, strict=True))
    same = [one for one, other in pairs if one == other]
    return len(same) / len(pairs)


def decoding_table(key: str, measured: Decoded) -> str:
    """A column for each case."""
    part = DECODING[key]
    cases = list(measured.cases)
    title = "Tiny models, for a try" if measured.tiny else part.title
    lines = [
        f"**{title}**; {measured.rounds} rounds; tokens/s, settings, and the share of texts "
        "with exactly the tokens of transformers:",
        "",
        f"| | {' | '.join(cases)} |",
        f"|---|{'---:|' * len(cases)}",
    ]
    for name in part.contenders:
        short = name.removeprefix(f"{part.shape}-")
        if any(name in records for records in measured.cases.values()):
            cells = [_cell(name, part.shape, measured.cases[case]) for case in cases]
            lines.append(f"| {TITLES[short]} | {' | '.join(cells)} |")
    notes = [
        f"{name.removeprefix(f'{part.shape}-')}: {reason}"
        for name, reason in measured.missing.items()
    ]
    for case, records in measured.cases.items():
        dirty = [f"{name} {record.dirty}" for name, record in records.items() if record.dirty]
        if dirty:
            notes.append(f"{case}, rounds in which others used the machine: {', '.join(dirty)}")
    return "\n".join([*lines, *(line for note in notes for line in ("", f"{_short(note)}."))])


def streaming_table(streams: Streaming) -> str:
    """The first token, and memory."""
    lines = ["**A stream of ours**, int8, one thread:", ""]
    if streams.passes:
        lines += ["| prompt, tokens | one bare pass, ms | first token, ms |", "|---:|---:|---:|"]
        lines += [
            f"| {prompt} | {1000 * bare:.2f} | {1000 * first:.2f} |"
            for prompt, (bare, first) in streams.passes.items()
        ]
    if streams.memory:
        lines += [
            "",
            "| new tokens, 8 prompts of 32 | grown, MB | cache for them, MB "
            "| cache for the whole context, MB |",
            "|---:|---:|---:|---:|",
        ]
        lines += [
            f"| {new} | {grown:.0f} | {cache:.0f} | {whole:.0f} |"
            for new, (grown, cache, whole) in streams.memory.items()
        ]
    return "\n".join(lines)


def words(settings: Mapping[str, object]) -> str:
    """Settings in few words: sessions × threads, or what else there is."""
    if "binding" in settings:
        bound = ", bound" if settings["binding"] else ""
        return f"{settings['session_threads']}, torch {settings['torch_threads']}{bound}"
    if "torch_threads" in settings:
        return f"torch {settings['torch_threads']}"
    return f"{settings.get('sessions', 1)}×{settings.get('threads', 1)}"


def _cell(name: str, shape: str, records: Mapping[str, Record]) -> str:
    record, peer = records.get(name), records.get(f"{shape}-transformers")
    if record is None or not record.values:
        return ""
    cell = f"{record.median:,.0f} ({words(record.settings)})"
    if peer is not None and peer is not record and record.answers:
        # Rounded down: only all texts are 100 %.
        cell += f" {math.floor(100 * identical(record, peer))} %"
    return cell


def _best(measured: Decoded, shape: str, case: str, names: Sequence[str]) -> tuple[str, float]:
    """The best of some contenders in a case, and its rate; 0 where none was measured."""
    records = measured.cases.get(case, {})
    rates = [
        (name, records[f"{shape}-{name}"].median)
        for name in names
        if f"{shape}-{name}" in records and records[f"{shape}-{name}"].values
    ]
    return max(rates, key=lambda pair: pair[1], default=("", 0.0))


def _short(note: str) -> str:
    return note.rstrip(". \n")
