"""Decoding benchmarks: contenders in alternating order, and measurements of our engine only."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from itertools import product
from pathlib import Path

from arena import ContenderFailed, Process, Record, measured, processes, turns
from decoding import COMPLETE, Case
from decoding_contenders import Nlplug
from environments import ENVIRONMENTS, interpreter
from parts import DECODERS, MEMORY_NEW, MEMORY_ROWS, PROMPTS, DecodingPart

Say = Callable[[str], None]
OURS = Nlplug.file


@dataclass
class Decoded:
    """What one of the decoding benchmarks measured.

    Attributes:
        rounds: How many.
        cases: The records by case and contender.
        missing: Contenders that could not take part, and why.
        tiny: Whether the models were tiny ones.
    """

    rounds: int
    cases: dict[str, dict[str, Record]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    tiny: bool = False


@dataclass
class Streaming:
    """What was measured of our streams.

    Attributes:
        passes: By the length of the prompt: seconds of a bare pass, and to the first token.
        memory: By new tokens: MB grown, MB of the cache for them, MB for the whole context.
    """

    passes: dict[str, tuple[float, float]] = field(default_factory=dict)
    memory: dict[str, tuple[float, float, float]] = field(default_factory=dict)


def models_folder(options: argparse.Namespace) -> Path:
    """Where the models that decode are; those of a quick run are tiny, and apart."""
    folder: Path = options.work / "tiny" if options.quick else options.work
    return folder


def outdated(
    part: DecodingPart, options: argparse.Namespace, *, ours_alone: bool = False
) -> list[str]:
    """The engines whose models of a shape are to be made, by what they are called."""
    names = [name for name in part.contenders if name in options.contenders]
    wanted = {part.contenders[name].kind.file for name in names}
    if ours_alone:
        wanted = {OURS}
    done = models_folder(options) / part.shape / COMPLETE
    made = json.loads(done.read_text(encoding="utf-8")) if done.exists() else []
    return sorted(wanted - set(made) | ({OURS} if options.renew else set()))


def install_environments(part: DecodingPart, options: argparse.Namespace) -> None:
    """Make the environments that the part's contenders run in."""
    for name, entry in part.contenders.items():
        if entry.kind.environment and name in options.contenders:
            ENVIRONMENTS[entry.kind.environment].install(options.work)


def decode(part: DecodingPart, options: argparse.Namespace, log: Path, say: Say) -> Decoded:
    """Tokens per second of each case: first the sweeps, then the best settings, alternating."""
    models = models_folder(options)
    rounds = options.rounds or (1 if options.quick else part.rounds)
    result = Decoded(rounds, tiny=options.quick)
    running, python = [], {}
    for name, entry in part.contenders.items():
        if name not in options.contenders:
            continue
        if reason := entry.missing(models, options.work):
            result.missing[name] = reason
            continue
        running.append(name)
        python[name] = interpreter(entry.kind.environment, options.work)
    with processes(running, models, log, python, result.missing) as started:
        for titles in _together(part.cases):
            for title in titles:
                case = part.cases[title]
                earlier = result.cases.get(case.like, {})
                records = result.cases[title] = {}
                for name in running:
                    if name in result.missing:
                        continue
                    try:
                        records[name] = _prepared(name, started[name], case, earlier, options, say)
                    except ContenderFailed as error:
                        result.missing[name] = str(error)
                        say(f"{title}: {error}")
            for number, order in enumerate(turns(running, rounds), 1):
                for name, title in product(order, titles):
                    if name in result.missing:
                        continue
                    record = result.cases[title][name]
                    try:
                        _round(started[name], part.cases[title], record, options)
                    except ContenderFailed as error:
                        result.missing[name] = str(error)
                        say(f"{title}: {error}")
                        continue
                    say(
                        f"{title}, round {number}  {name:26} {record.values[-1]:8.1f} tokens/s  "
                        f"others {100 * record.foreign[-1]:4.1f} %"
                    )
    return result


def _together(cases: Mapping[str, Case]) -> list[list[str]]:
    """The cases. Those that are compared are next to each other, because machines change."""
    found: dict[str, list[str]] = {}
    for title, case in cases.items():
        found.setdefault(case.like or title, []).append(title)
    return list(found.values())


def _prepared(
    name: str,
    process: Process,
    case: Case,
    earlier: dict[str, Record],
    options: argparse.Namespace,
    say: Say,
) -> Record:
    """A contender at its best settings for a case, and what it answers."""
    record, asked = Record(), asdict(case)
    tried = DECODERS[name].kind.sweep(case)
    if name in earlier:
        tried = [earlier[name].settings]
    for settings in tried if len(tried) > 1 else []:
        process.ask("prepare", settings=settings, case=asked)
        answer, _ = measured(
            process, "pace", patience=options.patience, seconds=options.seconds / 2
        )
        rate = answer["tokens"] / answer["seconds"]
        record.sweep.append((settings, rate))
        say(f"sweep  {name:26} {rate:8.1f} tokens/s  {settings}")
    record.settings = max(record.sweep, key=lambda pair: pair[1])[0] if record.sweep else tried[0]
    if not case.sampled:
        process.ask("prepare", settings=record.settings, case=asked)
        record.answers = process.ask("answers")["answers"]
    return record


def _round(process: Process, case: Case, record: Record, options: argparse.Namespace) -> None:
    process.ask("prepare", settings=record.settings, case=asdict(case))
    answer, share = measured(process, "pace", patience=options.patience, seconds=options.seconds)
    record.values.append(answer["tokens"] / answer["seconds"])
    record.foreign.append(share)


def streaming(options: argparse.Namespace, log: Path, say: Say) -> Streaming:
    """Of our int8 alone: the first token in a GPT-2 shape, memory in a Llama shape."""
    models, result = models_folder(options), Streaming()
    calls = 3 if options.quick else 30
    with processes(["gpt2-nlplug-int8"], models, log) as started:
        for prompt in PROMPTS:
            answer, _ = measured(
                started["gpt2-nlplug-int8"],
                "first_token",
                patience=options.patience,
                prompt=prompt,
                calls=calls,
            )
            result.passes[str(prompt)] = answer["bare"], answer["first"]
            say(f"prompt of {prompt}: {answer['first'] / answer['bare']:.2f} passes")
    for new in MEMORY_NEW[:1] if options.quick else MEMORY_NEW:
        # A process each: memory that was freed once may be used again without growing.
        with processes(["llama-nlplug-int8"], models, log) as started:
            answer = started["llama-nlplug-int8"].ask("memory", rows=MEMORY_ROWS, new=new)
        result.memory[str(new)] = answer["grown"], answer["cache"], answer["whole"]
        say(f"{new} new tokens: {answer['grown']:.1f} MB")
    return result
