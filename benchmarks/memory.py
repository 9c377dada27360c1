"""Memory while a large file is answered: does it stay flat from the first lines to the last?

python benchmarks/memory.py [--megabytes 1024] [--task ner] [--model FOLDER]

The file has one document per line. A tiny model is enough, since what is measured is what the
reader, the engine and the writer keep; with a real one the same file takes hours.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from texts import make_documents

VOCABULARY = [a + b + c for a in "bdfglmnprst" for b in "aeiou" for c in ("n", "rt", "st", "lk")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=int, default=1024)
    parser.add_argument("--task", choices=("ner", "sentiment"), default="ner")
    parser.add_argument("--model", type=Path, help="a bundle of the task; default: a tiny one")
    parser.add_argument("--folder", type=Path, help="where the file goes; default: a temporary one")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(dir=arguments.folder))
    try:
        source = folder / "documents.txt"
        _write(source, arguments.megabytes * 1_000_000)
        model = arguments.model or _tiny(folder / "model", arguments.task)
        _watch(arguments.task, model, source, folder / "answers.jsonl")
    finally:
        shutil.rmtree(folder)


def _write(path: Path, size: int) -> None:
    lines = "".join(f"{document}\n" for document in make_documents(VOCABULARY, 2000)).encode()
    with path.open("wb") as file:
        while file.tell() < size:
            file.write(lines)


def _tiny(folder: Path, task: str) -> Path:
    from nlplug import testing

    words: dict[str, tuple[float, ...]] = {word: (1.0, -1.0) for word in VOCABULARY}
    if task == "sentiment":
        return testing.tiny_text_classifier(folder, words, max_length=256).path
    words |= {word: (-1.0, 1.0) for word in VOCABULARY[::25]}
    return testing.tiny_token_classifier(folder, words, labels=("O", "B-PER"), max_length=256).path


def _watch(task: str, model: Path, source: Path, target: Path) -> None:
    """Run the command and print its memory at each tenth of the answers."""
    command = [str(Path(sys.executable).parent / "nlplug"), "run", task, "--model", str(model)]
    start = time.perf_counter()
    process = subprocess.Popen([*command, "--input", str(source), "--output", str(target)])
    samples: list[tuple[float, float]] = []
    while process.poll() is None:
        status = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
        held = [line.split()[1] for line in status.splitlines() if line.startswith("VmRSS")]
        if held:
            samples.append((time.perf_counter() - start, int(held[0]) / 1024))
        time.sleep(0.5)
    seconds = time.perf_counter() - start
    if process.returncode:
        sys.exit(f"the command failed with {process.returncode}")
    rate = source.stat().st_size / 1e6 / seconds
    print(f"{source.stat().st_size / 1e6:,.0f} MB in {seconds:,.0f} s, {rate:.1f} MB/s")
    print("| of the time | most memory so far, MB |\n|---:|---:|")
    for share in (0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 1.0):
        peak = max((held for at, held in samples if at <= share * seconds), default=0.0)
        print(f"| {share:.0%} | {peak:,.0f} |")


if __name__ == "__main__":
    main()
