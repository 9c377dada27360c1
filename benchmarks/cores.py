"""Classification with one process per core, each bound to its core.

transformers and Optimum hardly gain from a second thread with short texts, so that their users
start several processes. The first benchmark, one process each, does not show this.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from arena import FOREIGN_LIMIT, Process, Record, turns
from contenders import CPUS
from environments import interpreter, ready
from openvino_contenders import OPENVINO
from parts import CONTENDERS
from quiet import Patience, foreign_share, own_cpu, usage

NAMES = (
    "transformers",
    "torch-bf16",
    "optimum-fp32",
    "optimum-int8",
    *OPENVINO,
    "nlplug-fp32",
    "nlplug-int8",
)
SWEPT = 200
"""Texts on which the settings are tried."""


def per_core(
    options: argparse.Namespace, log: Path, say: Callable[[str], None]
) -> tuple[int, int, dict[str, Record]]:
    """Measure all contenders in alternating order.

    Returns:
        The number of texts of each process, the number of rounds, and texts per second of all
        processes together, by contender.
    """
    names = [
        name
        for name in NAMES
        if name in options.contenders and ready(CONTENDERS[name].environment, options.work)
    ]
    rounds = options.rounds or (1 if options.quick else 5)
    records = {name: Record() for name in names}
    with ExitStack() as stack:
        teams = {name: _team(name, options.work, log, stack) for name in names}
        count = min(team[0].ask("count_texts")["count"] for team in teams.values())
        count = min(count, 200) if options.quick else count // 2
        for name, team in teams.items():
            _choose(name, team, records[name], say)
            _all(team, "prepare", settings=records[name].settings, count=count)
        for number, order in enumerate(turns(names, rounds), 1):
            for name in order:
                rate, share = _measure(teams[name], count, options)
                records[name].values.append(rate)
                records[name].foreign.append(share)
                say(f"round {number}  {name:16} {rate:8.1f} texts/s  others {100 * share:4.1f} %")
    return count, rounds, records


def _team(name: str, work: Path, log: Path, stack: ExitStack) -> list[Process]:
    """One process per core."""
    python = interpreter(CONTENDERS[name].environment, work)
    team = [Process(name, work, log, python, cpu=cpu) for cpu in range(CPUS)]
    for process in team:
        stack.callback(process.close)
    return team


def _choose(name: str, team: Sequence[Process], record: Record, say: Callable[[str], None]) -> None:
    """The best settings with one thread."""
    tried: list[dict[str, Any]] = []
    for settings in CONTENDERS[name].sweep:
        own = settings | {
            key: 1 for key in ("torch_threads", "threads", "streams") if key in settings
        }
        if own not in tried:
            tried.append(own)
    for settings in tried if len(tried) > 1 else []:
        _all(team, "prepare", settings=settings, count=SWEPT)
        rate = max(_rate(_all(team, "go"), SWEPT) for _ in range(2))
        record.sweep.append((settings, rate))
        say(f"sweep    {name:16} {rate:8.1f} texts/s  {settings}")
    record.settings = max(record.sweep, key=lambda pair: pair[1])[0] if record.sweep else tried[0]


def _measure(
    team: Sequence[Process], count: int, options: argparse.Namespace
) -> tuple[float, float]:
    """Texts per second of the team, and the share of the CPUs that others used."""

    def once() -> tuple[float, float]:
        before, own = usage(), own_cpu()
        answers = _all(team, "go")
        used = own_cpu() - own + sum(answer["cpu"] for answer in answers)
        return _rate(answers, count), foreign_share(before, usage(), used)

    patience: Patience = options.patience
    return patience.cleanest(once, FOREIGN_LIMIT)


def _all(team: Sequence[Process], command: str, **arguments: Any) -> list[dict[str, Any]]:
    """Send a command to all processes at the same time."""
    with ThreadPoolExecutor(len(team)) as pool:
        return list(pool.map(lambda process: process.ask(command, **arguments), team))


def _rate(answers: Sequence[dict[str, Any]], count: int) -> float:
    return len(answers) * count / max(answer["seconds"] for answer in answers)
