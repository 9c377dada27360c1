"""nlplug against its peers: throughput, decoding, one text, start-up, in one run.

python benchmarks/run.py [--quick] [--only classification,generation,startup] [--update-docs]
"""

from __future__ import annotations

import argparse
import json
import os
import re
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
from contenders import CLASSIFICATION
from cores import per_core
from decoding_race import (
    Decoded,
    Streaming,
    decode,
    install_environments,
    models_folder,
    outdated,
    streaming,
)
from environments import ENVIRONMENTS, interpreter, ready
from models import COMPLETE
from openvino_contenders import INT8, OPENVINO
from parts import CONTENDERS, DECODERS, DECODING, PARTS, Part
from quiet import Patience
from report import Results, Throughput, bars, markdown, processor, update_page
from startup import Start, measure

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
CHOICES = (*PARTS, "cores", *DECODING, "streaming", "latency", "startup")
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
    prepare_decoders(options)
    log = options.work / "workers.log"
    log.write_text("")
    results = load(options)
    try:
        for part in options.only:
            run_part(part, options, log, results)
            save(results, options)  # what follows may fail
    except ContenderFailed as error:
        sys.exit(str(error))
    text = markdown(results)
    print(text)
    if options.update_docs:
        update_page(ROOT / "docs" / "benchmarks.md", text)
    if options.check and not all(bar.met for bar in bars(results)):
        sys.exit(1)


def run_part(part: str, options: argparse.Namespace, log: Path, results: Results) -> None:
    """Measure one part; its figures replace those of an earlier run."""
    if part in PARTS:
        earlier = results.throughput.get(part) if options.reuse_settings else None
        results.throughput[part] = throughput(PARTS[part], options, log, earlier)
    elif part == "cores":
        results.cores = Throughput(*per_core(options, log, say))
    elif part in DECODING:
        results.decoding[part] = decode(DECODING[part], options, log, say)
    elif part == "streaming":
        results.streaming = streaming(options, log, say)
    elif part == "latency":
        results.latency = latency(options, log, results.latency)
    else:
        results.startup = measure(
            options.work,
            Path(sys.executable).parent / "nlplug",
            3 if options.quick else 7,
            options.patience,
        )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add(
        "--quick",
        action="store_true",
        help="a fifth of the texts, three rounds; of decoding, tiny models and one round",
    )
    add(
        "--only",
        default=",".join(CHOICES),
        help="of " + ", ".join(CHOICES) + "; '' measures nothing",
    )
    add("--rounds", type=int, help="rounds of the throughput benchmarks (5 or 3; quick: 3 or 1)")
    add("--seconds", type=float, help="of one measurement of decoding, at least")
    add("--contenders", help="of " + ", ".join((*CONTENDERS, *DECODERS)))
    add("--update-docs", action="store_true", help="put the tables into docs/benchmarks.md")
    add("--reuse-settings", action="store_true", help="skip the sweeps: settings of the last run")
    add("--check", action="store_true", help="exit with 1 where a bar is not met")
    add(
        "--patience",
        type=float,
        help="seconds of the whole run to wait for quiet moments and to measure again (900; quick: "
        "60)",
    )
    add("--work", type=Path, default=ROOT / "benchmarks" / ".work", help="where the models go")
    add("--results", type=Path, default=RESULTS, help="where the figures go")
    add("--base", type=Path, help="a MiniLM-L6 checkpoint to use instead of the pip package's")
    add("--rebuild", action="store_true", help="make the models again")
    add("--renew", action="store_true", help="of the models that decode, export our own again")
    options = parser.parse_args()
    options.calls = 100 if options.quick else 400
    seconds = 60.0 if options.quick else 900.0
    options.patience = Patience(seconds if options.patience is None else options.patience)
    options.seconds = options.seconds or (0.05 if options.quick else 0.8)
    asked = [part.strip() for part in options.only.split(",") if part.strip()]
    options.only = [part for part in CHOICES if part in asked]
    unknown = set(asked) - set(CHOICES)
    known = [*CONTENDERS, *DECODERS]
    names = options.contenders.split(",") if options.contenders else known
    unknown |= set(names) - set(known)
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
    options.work.mkdir(parents=True, exist_ok=True)
    contenders = [
        kind
        for key in options.only
        if key in PARTS or key in ("cores", "latency", "startup")
        for name, kind in PARTS[key if key in PARTS else "classification"].contenders.items()
        if name in options.contenders
    ]
    missing = sorted(
        {kind.task for kind in contenders if not (options.work / kind.task / COMPLETE).exists()}
    )
    if missing:
        say(f"Making models for {', '.join(missing)} in {options.work}")
        script = str(ROOT / "benchmarks" / "models.py")
        base = ["--base", str(options.base)] if options.base else []
        tasks = [word for task in missing for word in ("--task", task)]
        subprocess.run([sys.executable, script, str(options.work), *base, *tasks], check=True)
    # One text, and a fresh process, are not measured with it.
    if {"classification", "cores"} & set(options.only) and set(OPENVINO) & set(options.contenders):
        prepare_openvino(options)


def prepare_openvino(options: argparse.Namespace) -> None:
    """Make OpenVINO's environment and its int8 model, once; without a network it is left out."""
    ENVIRONMENTS["openvino"].install(options.work)
    folder = options.work / "sentiment"
    if not ready("openvino", options.work):
        say("OpenVINO is left out: its environment cannot be made")
    elif not (folder / INT8).exists():
        say(f"Making the int8 model of OpenVINO in {folder}")
        script = str(ROOT / "benchmarks" / "openvino_contenders.py")
        subprocess.run([interpreter("openvino", options.work), script, str(folder)], check=True)


def prepare_decoders(options: argparse.Namespace) -> None:
    """Make the environments and the models of the engines that decode, once."""
    # Streams are measured on the models of two parts, only with our engine.
    used = dict.fromkeys([key for key in DECODING if key in options.only], False)
    if "streaming" in options.only:
        used = dict.fromkeys(("generation", "llama"), True) | used
    for key, ours_alone in used.items():
        part = DECODING[key]
        if not ours_alone:
            install_environments(part, options)
        engines = outdated(part, options, ours_alone=ours_alone)
        if not engines:
            continue
        models = models_folder(options)
        say(f"Making models of {', '.join(engines)} in {models / part.shape}")
        command = [sys.executable, str(ROOT / "benchmarks" / "decoding_models.py"), str(models)]
        command += ["--environments", str(options.work), "--shape", part.shape]
        command += ["--engines", ",".join(engines), *(["--tiny"] if options.quick else [])]
        subprocess.run(command, check=True)


def throughput(
    part: Part, options: argparse.Namespace, log: Path, earlier: Throughput | None
) -> Throughput:
    """Texts per second: first each contender's sweep, then the best settings, alternating."""
    names = [
        name
        for name, kind in part.contenders.items()
        if name in options.contenders and ready(kind.environment, options.work)
    ]
    records = {name: Record() for name in names}
    rounds = options.rounds or (3 if options.quick else part.rounds)
    pythons = {name: interpreter(part.contenders[name].environment, options.work) for name in names}
    with processes(names, options.work, log, pythons) as running:
        count = min(process.ask("count_texts")["count"] for process in running.values())
        if options.quick:
            count = min(count, part.quick)
        for name, process in running.items():
            if earlier and name in earlier.records:
                records[name].settings = earlier.records[name].settings
            else:
                sweep(name, process, records[name], min(count, part.quick), options)
        for name, process in running.items():
            process.ask("prepare", settings=records[name].settings, count=count)
        for number, order in enumerate(turns(names, rounds), 1):
            for name in order:
                answer, share = measured(running[name], "go", patience=options.patience)
                record = records[name]
                record.values.append(count / answer["seconds"])
                record.foreign.append(share)
                record.answers = record.answers or answer["answers"]
                say(
                    f"round {number}  {name:16} {record.values[-1]:8.1f} texts/s  "
                    f"others {100 * share:4.1f} %"
                )
    return Throughput(count, rounds, records)


def sweep(
    name: str, process: Process, record: Record, count: int, options: argparse.Namespace
) -> None:
    """Try every setting on ``count`` of the texts and keep the fastest."""
    tried = CONTENDERS[name].sweep
    for settings in tried if len(tried) > 1 else []:
        process.ask("prepare", settings=settings, count=count)
        rates = []
        for _ in range(2):
            answer, _ = measured(process, "go", patience=options.patience)
            rates.append(count / answer["seconds"])
        record.sweep.append((settings, max(rates)))
        say(f"sweep    {name:16} {max(rates):8.1f} texts/s  {settings}")
    record.settings = max(record.sweep, key=lambda pair: pair[1])[0] if record.sweep else tried[0]


def latency(
    options: argparse.Namespace, log: Path, earlier: dict[str, Record]
) -> dict[str, Record]:
    """Seconds per call for one short text, in alternating groups of a few dozen calls."""
    names = [n for n in CLASSIFICATION if n in options.contenders and n != "torch-bf16"]
    records = {name: Record() for name in names}
    with processes(names, options.work, log) as running:
        for name, process in running.items():
            known = options.reuse_settings and name in earlier
            if known:
                records[name].settings = earlier[name].settings
            for settings in LATENCY_SWEEP.get(name, []) if not known else []:
                process.ask("prepare_one", settings=settings)
                answer, _ = measured(process, "one", calls=40, patience=options.patience)
                middle = sorted(answer["times"])[20]
                records[name].sweep.append((settings, 1 / middle))
                say(f"sweep    {name:14} {1000 * middle:8.2f} ms  {settings}")
            if records[name].sweep:
                records[name].settings = max(records[name].sweep, key=lambda pair: pair[1])[0]
            process.ask("prepare_one", settings=records[name].settings)
        for order in turns(names, options.calls // 20):
            for name in order:
                answer, share = measured(running[name], "one", calls=20, patience=options.patience)
                records[name].values += answer["times"]
                records[name].foreign.append(share)
    return records


def raw_file(options: argparse.Namespace) -> Path:
    """Where every figure goes; quick runs apart, for their figures are not for comparison."""
    folder: Path = options.results
    return folder / f"{_slug()}.raw{'-quick' if options.quick else ''}.json"


def _slug() -> str:
    """The kind of processor in the name of a file: figures of two kinds are not compared."""
    return "-".join(re.findall(r"[a-z0-9]+", processor().lower()))


def load(options: argparse.Namespace) -> Results:
    """What earlier runs measured."""
    path = raw_file(options)
    raw = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    throughput = {key: _loaded(part) for key, part in raw.get("throughput", {}).items()}
    return Results(
        {key: throughput[key] for key in PARTS if key in throughput},
        {name: Record(**record) for name, record in raw.get("latency", {}).items()},
        {name: Start(**start) for name, start in raw.get("startup", {}).items()},
        {
            key: Decoded(
                part["rounds"],
                {
                    case: {name: Record(**record) for name, record in records.items()}
                    for case, records in part["cases"].items()
                },
                part["missing"],
                part["tiny"],
            )
            for key, part in raw.get("decoding", {}).items()
        },
        Streaming(**raw.get("streaming", {})),
        _loaded(raw["cores"]) if raw.get("cores") else None,
    )


def _loaded(part: dict[str, Any]) -> Throughput:
    """A throughput benchmark from its raw figures."""
    records = {name: Record(**record) for name, record in part["records"].items()}
    return Throughput(part["texts"], part["rounds"], records)


def save(results: Results, options: argparse.Namespace) -> None:
    """Every figure to the raw file; of runs that are not quick, a summary beside it."""
    options.results.mkdir(parents=True, exist_ok=True)
    raw_file(options).write_text(json.dumps(asdict(results)), encoding="utf-8")
    if options.quick:
        return
    cores = results.cores.records if results.cores else {}
    summary = {
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "texts_per_second": {
            key: {
                "texts": part.texts,
                "rounds": part.rounds,
                **{
                    name: {"median": round(record.median, 1), "settings": record.settings}
                    for name, record in part.records.items()
                },
            }
            for key, part in results.throughput.items()
        },
        "texts_per_second_with_one_process_per_core": {
            name: {"median": round(record.median, 1), "settings": record.settings}
            for name, record in cores.items()
        },
        "tokens_per_second": {
            key: {
                "rounds": part.rounds,
                "missing": part.missing,
                **{
                    case: {
                        name: {"median": round(record.median, 1), "settings": record.settings}
                        for name, record in records.items()
                    }
                    for case, records in part.cases.items()
                },
            }
            for key, part in results.decoding.items()
        },
        "streaming": asdict(results.streaming),
        "milliseconds": {
            name: round(1000 * record.median, 3) for name, record in results.latency.items()
        },
        "startup_seconds": {
            name: round(start.median, 3) for name, start in results.startup.items()
        },
        "bars": [asdict(bar) | {"met": bar.met} for bar in bars(results)],
    }
    text = json.dumps(summary, indent=1) + "\n"
    (options.results / f"{_slug()}.json").write_text(text, encoding="utf-8")


def say(line: str) -> None:
    """Progress, separate from the tables."""
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
