"""nlplug against its peers: throughput, one text, start-up, in one run.

python benchmarks/run.py [--quick] [--only classification,latency,startup] [--update-readme]
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from arena import ContenderFailed, Process, Record, measured, processes, turns
from contenders import CONTENDERS
from models import COMPLETE
from report import Results, bars, markdown, update_readme
from startup import Start, measure

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
PARTS = ("classification", "latency", "startup")
LATENCY_SWEEP: dict[str, list[dict[str, Any]]] = {
    "transformers": [{"torch_threads": 1}, {"torch_threads": 2}],
    "optimum-fp32": [{"torch_threads": 1}, {"torch_threads": 2}],
    "optimum-int8": [{"torch_threads": 1}, {"torch_threads": 2}],
    "bare-fp32": [{"threads": 1}, {"threads": 2}],
    "bare-int8": [{"threads": 1}, {"threads": 2}],
}


def main() -> None:
    options = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the workers end too
    environment_defaults()
    prepare_models(options)
    log = options.work / "workers.log"
    log.write_text("")
    parts = options.only
    results = load(options)
    earlier = results if options.reuse_settings else Results(0, 0, {}, {}, {})
    try:
        if "classification" in parts:
            results.texts, results.rounds = options.texts, options.rounds
            results.classification = classification(options, log, earlier.classification)
        if "latency" in parts:
            results.latency = latency(options, log, earlier.latency)
        if "startup" in parts:
            results.startup = measure(
                options.work,
                Path(sys.executable).parent / "nlplug",
                3 if options.quick else 7,
                repeats=options.repeats,
                patience=options.patience,
            )
    except ContenderFailed as error:
        sys.exit(str(error))
    text = markdown(results)
    print(text)
    save(results, options)
    if options.update_readme:
        update_readme(ROOT / "README.md", text)
    if options.check and not all(bar.met for bar in bars(results)):
        sys.exit(1)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--quick", action="store_true", help="a fifth of the texts, three rounds")
    add("--only", default=",".join(PARTS), help="of " + ", ".join(PARTS) + "; '' measures nothing")
    add("--rounds", type=int, help="rounds of the classification benchmark (5; quick: 3)")
    add("--contenders", help="of " + ", ".join(CONTENDERS))
    add("--update-readme", action="store_true", help="put the tables into README.md")
    add("--reuse-settings", action="store_true", help="skip the sweeps: settings of the last run")
    add("--check", action="store_true", help="exit with 1 where a bar is not met")
    add("--repeats", type=int, default=4, help="tries more while others use the machine")
    add("--patience", type=float, default=20.0, help="seconds to wait for a quiet moment")
    add("--work", type=Path, default=ROOT / "benchmarks" / ".work", help="where the models go")
    add("--base", type=Path, help="a MiniLM-L6 checkpoint to use instead of the pip package's")
    add("--rebuild", action="store_true", help="make the models again")
    options = parser.parse_args()
    options.rounds = options.rounds or (3 if options.quick else 5)
    options.texts = 400 if options.quick else 2000
    options.calls = 100 if options.quick else 400
    options.only = [part.strip() for part in options.only.split(",") if part.strip()]
    unknown = set(options.only) - set(PARTS)
    names = options.contenders.split(",") if options.contenders else list(CONTENDERS)
    unknown |= set(names) - set(CONTENDERS)
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    options.contenders = names
    return options


def environment_defaults() -> None:
    """What every child gets: no network, and no thread settings but its own."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NLPLUG_THREADS"):
        os.environ.pop(name, None)
    os.environ |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error"}


def prepare_models(options: argparse.Namespace) -> None:
    """Make the competing models once."""
    if options.rebuild:
        shutil.rmtree(options.work, ignore_errors=True)
    if (options.work / COMPLETE).exists():
        return
    say(f"Making the models in {options.work}")
    script = str(ROOT / "benchmarks" / "models.py")
    base = ["--base", str(options.base)] if options.base else []
    subprocess.run([sys.executable, script, str(options.work), *base], check=True)


def classification(
    options: argparse.Namespace, log: Path, earlier: dict[str, Record]
) -> dict[str, Record]:
    """Texts a second: first each contender's sweep, then the best settings in turns."""
    records = {name: Record() for name in options.contenders}
    with processes(options.contenders, options.work, log) as running:
        for name, process in running.items():
            if name in earlier:
                records[name].settings = earlier[name].settings
            else:
                sweep(name, process, records[name], options)
        for name, process in running.items():
            process.ask("prepare", settings=records[name].settings, count=options.texts)
        for number, order in enumerate(turns(options.contenders, options.rounds), 1):
            for name in order:
                answer, share = measured(
                    running[name], "go", repeats=options.repeats, patience=options.patience
                )
                record = records[name]
                record.values.append(options.texts / answer["seconds"])
                record.foreign.append(share)
                record.scores = record.scores or answer["scores"]
                say(
                    f"round {number}  {name:14} {record.values[-1]:8.1f} texts/s  "
                    f"others {100 * share:4.1f} %"
                )
    return records


def sweep(name: str, process: Process, record: Record, options: argparse.Namespace) -> None:
    """Try every setting on a part of the texts and keep the fastest."""
    tried = CONTENDERS[name].sweep
    count = min(options.texts, 400)
    for settings in tried if len(tried) > 1 else []:
        process.ask("prepare", settings=settings, count=count)
        rates = []
        for _ in range(2):
            answer, _ = measured(process, "go", repeats=options.repeats, patience=options.patience)
            rates.append(count / answer["seconds"])
        record.sweep.append((settings, max(rates)))
        say(f"sweep    {name:14} {max(rates):8.1f} texts/s  {settings}")
    record.settings = max(record.sweep, key=lambda pair: pair[1])[0] if record.sweep else tried[0]


def latency(
    options: argparse.Namespace, log: Path, earlier: dict[str, Record]
) -> dict[str, Record]:
    """Seconds a call for one short text, in turns of a few dozen calls."""
    names = [name for name in options.contenders if name != "torch-bf16"]
    records = {name: Record() for name in names}
    arguments = {"repeats": options.repeats, "patience": options.patience}
    with processes(names, options.work, log) as running:
        for name, process in running.items():
            if name in earlier:
                records[name].settings = earlier[name].settings
            for settings in LATENCY_SWEEP.get(name, []) if name not in earlier else []:
                process.ask("prepare_one", settings=settings)
                answer, _ = measured(process, "one", calls=40, **arguments)
                middle = sorted(answer["times"])[20]
                records[name].sweep.append((settings, 1 / middle))
                say(f"sweep    {name:14} {1000 * middle:8.2f} ms  {settings}")
            if records[name].sweep:
                records[name].settings = max(records[name].sweep, key=lambda pair: pair[1])[0]
            process.ask("prepare_one", settings=records[name].settings)
        for order in turns(names, options.calls // 20):
            for name in order:
                answer, share = measured(running[name], "one", calls=20, **arguments)
                records[name].values += answer["times"]
                records[name].foreign.append(share)
    return records


def raw_file(options: argparse.Namespace) -> Path:
    """Where every figure goes; quick runs apart, for their figures are not for comparison."""
    return RESULTS / ("raw-quick.json" if options.quick else "raw.json")


def load(options: argparse.Namespace) -> Results:
    """What earlier runs measured."""
    path = raw_file(options)
    raw = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return Results(
        raw.get("texts", options.texts),
        raw.get("rounds", options.rounds),
        {name: Record(**record) for name, record in raw.get("classification", {}).items()},
        {name: Record(**record) for name, record in raw.get("latency", {}).items()},
        {name: Start(**start) for name, start in raw.get("startup", {}).items()},
    )


def save(results: Results, options: argparse.Namespace) -> None:
    """Every figure to ``raw.json``; of runs that are not quick, the summary to ``latest.json``."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    raw_file(options).write_text(json.dumps(asdict(results)), encoding="utf-8")
    if options.quick:
        return
    summary = {
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "texts": results.texts,
        "rounds": results.rounds,
        "texts_per_second": {
            name: {"median": round(record.median, 1), "settings": record.settings}
            for name, record in results.classification.items()
        },
        "milliseconds": {
            name: round(1000 * record.median, 3) for name, record in results.latency.items()
        },
        "startup_seconds": {
            name: round(start.median, 3) for name, start in results.startup.items()
        },
        "bars": [asdict(bar) | {"met": bar.met} for bar in bars(results)],
    }
    (RESULTS / "latest.json").write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")


def say(line: str) -> None:
    """Progress, apart from the tables."""
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
