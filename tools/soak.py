"""Soak test: a server under twice the load that it can sustain, with clients of all kinds.

``nlplug serve`` runs as a process of its own. Its sustainable load is measured first: the rate at
which a few clients that wait for their replies are served. Then requests arrive at twice that rate,
whether or not earlier ones are answered: short texts, lists, documents, generations with and
without streaming, clients that hang up, malformed requests and requests without a key. At the end
the server is stopped while requests are under way.

The run fails if a reply has a status that is not documented for its request, a connection breaks,
``/health`` is not answered, memory keeps growing, or the server does not end in time.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import re
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "capacity.md"
MARKS = ("<!-- soak -->", "<!-- end of soak -->")
SECONDS = 600.0
OVERLOAD = 2.0
"""The offered load, as a multiple of the sustainable one."""
TIMEOUT = 20.0
"""Seconds in which the server answers or refuses a request."""
SHUTDOWN = 20.0
"""Seconds in which the server has to end after the time for its last requests; see SECURITY.md."""
GROWTH = 1.10
"""Largest growth of the memory from the second fifth of the run to the last one."""
WARM = 120.0
"""Seconds of load from which the growth of the memory is judged; a shorter run only warms up."""

_KEY = "soak"
_REFUSED = {429, 503, 504}
_CLIENTS = 8
_CONNECTIONS = 600
_LATE = 1.0
"""Seconds after which a request that was due is left out."""
_TEXT = "the cat Anna Paris likes river old train reads money quiet green market never song"


@dataclass(frozen=True)
class Kind:
    """A kind of request.

    Attributes:
        share: Its share of all requests.
        make: Makes the name of a model and the body of a request.
        expected: The statuses that a reply may have.
        stream: Whether the reply is read as a stream.
        patience: Maximum number of seconds after which the client hangs up; None: never.
        key: Whether the client has a key.
    """

    share: float
    make: Callable[[random.Random], tuple[str, Any]]
    expected: frozenset[int] = frozenset({200, *_REFUSED})
    stream: bool = False
    patience: float | None = None
    key: bool = True


@dataclass
class Record:
    """What happened in a run.

    Attributes:
        statuses: For each kind the number of replies by status; 0: the client hung up.
        seconds: For each kind the times of the replies with status 200.
        problems: What must not happen.
        health: Times of the replies to ``/health``.
        memory: Resident memory of the server in bytes, sampled regularly.
        unsent: Number of requests that were left out: no connection was left, or no time.
    """

    statuses: dict[str, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    problems: Counter[str] = field(default_factory=Counter)
    health: list[float] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)
    unsent: int = 0


@dataclass(frozen=True)
class Result:
    """The figures of a run.

    Attributes:
        record: What happened.
        sustainable: Requests per second that were served without overload.
        offered: Requests per second that were sent.
        seconds: Duration of the overload.
        timeout: Seconds in which the server answered or refused a request.
        shutdown: Seconds that the server took to end; None if it had to be killed.
    """

    record: Record
    sustainable: float
    offered: float
    seconds: float
    timeout: float
    shutdown: float | None

    @property
    def growth(self) -> float:
        """Memory in the last fifth of the run, as a multiple of that in the second fifth."""
        fifth = max(1, len(self.record.memory) // 5)
        early = statistics.median(self.record.memory[fifth : 2 * fifth] or self.record.memory)
        return statistics.median(self.record.memory[-fifth:]) / early

    def problems(self) -> list[str]:
        """What is wrong, one line each; empty if the run passed."""
        found = [f"{what} ({count} times)" for what, count in self.record.problems.items()]
        if self.seconds >= WARM and self.growth > GROWTH:
            found.append(f"The memory grew by {self.growth - 1:.0%}.")
        if self.shutdown is None:
            by = self.timeout + SHUTDOWN
            found.append(f"The server did not end within {by:g} seconds after SIGTERM.")
        if not self.record.statuses["short"][200]:
            found.append("No short request was answered.")
        return found


def _text(chance: random.Random, words: int) -> str:
    return " ".join(chance.choice(_TEXT.split()) for _ in range(words)).capitalize() + "."


def _one(chance: random.Random, words: int) -> tuple[str, Any]:
    name = chance.choice(("sentiment", "ner", "qa", "classification", "translation"))
    text = _text(chance, words)
    return name, {"question": "Who reads?", "context": text} if name == "qa" else text


def _short(chance: random.Random) -> tuple[str, Any]:
    name, value = _one(chance, chance.randint(3, 40))
    return name, {"inputs": value}


def _list(chance: random.Random) -> tuple[str, Any]:
    name = chance.choice(("sentiment", "ner", "classification", "translation"))
    return name, {"inputs": [_text(chance, chance.randint(3, 60)) for _ in range(16)]}


def _document(chance: random.Random) -> tuple[str, Any]:
    name, value = _one(chance, chance.randint(1000, 8000))
    return name, {"inputs": value}


def _story(chance: random.Random, *, stream: bool = False, most: int = 60) -> tuple[str, Any]:
    parameters = {"max_new_tokens": chance.randint(1, most), "do_sample": chance.random() < 0.5}
    return "generation", {"inputs": "Once upon a time", "parameters": parameters, "stream": stream}


def _streamed(chance: random.Random) -> tuple[str, Any]:
    return _story(chance, stream=True, most=300)


def _abandoned(chance: random.Random) -> tuple[str, Any]:
    return chance.choice((_streamed, _document, _list))(chance)


def _malformed(chance: random.Random) -> tuple[str, Any]:
    bodies = (
        ("sentiment", b'{"inputs": '),
        ("sentiment", {"inputs": 7}),
        ("ner", {"inputs": "a", "parameters": {"no_such_option": 1}}),
        ("generation", {"inputs": "a", "parameters": {"max_new_tokens": -1}}),
        ("no-such-model", {"inputs": "a"}),
        ("sentiment", {"inputs": ["a"] * 20_001}),
    )
    return chance.choice(bodies)


KINDS: dict[str, Kind] = {
    "short": Kind(0.62, _short),
    "list of 16": Kind(0.06, _list),
    "document": Kind(0.04, _document),
    "generation": Kind(0.08, _story),
    "streamed generation": Kind(0.08, _streamed, stream=True),
    "hung up": Kind(0.05, _abandoned, patience=0.3),
    "malformed": Kind(0.04, _malformed, frozenset({400, 404, 413, 422})),
    "without a key": Kind(0.03, _short, frozenset({401}), key=False),
}


class Server:
    """``nlplug serve`` in a process of its own, with all embedded models.

    Args:
        timeout: Seconds in which it answers or refuses a request.
    """

    def __init__(self, timeout: float) -> None:
        self.timeout = timeout
        command = [sys.executable, "-m", "nlplug", "serve", "--port", "0", "--preload"]
        self.process = subprocess.Popen(
            [*command, "--timeout", f"{timeout:g}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "NLPLUG_API_KEY": _KEY, "PYTHONUNBUFFERED": "1"},
        )
        self.url = self._address()

    def memory(self) -> int:
        """Resident memory in bytes."""
        pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def stop(self) -> None:
        """Send SIGTERM."""
        self.process.send_signal(signal.SIGTERM)

    def ended(self, within: float) -> bool:
        """Wait for the end; the process is killed if it does not come."""
        try:
            self.process.wait(within)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return False
        return True

    def _address(self) -> str:
        assert self.process.stdout is not None  # it is a pipe
        said = []
        for line in self.process.stdout:
            said.append(line)
            if found := re.search(r"http://\S+:\d+", line):
                # A full pipe would stop the server at its next message.
                drain = threading.Thread(target=deque, args=(self.process.stdout, 0), daemon=True)
                drain.start()
                return found[0]
        raise SystemExit("The server did not start:\n" + "".join(said))


class Load:
    """Sends requests of all kinds and records what comes back.

    Args:
        server: The server.
        chance: Chooses the requests.
    """

    def __init__(self, server: Server, chance: random.Random) -> None:
        self.record = Record()
        self._server = server
        self._chance = chance
        self._open: set[asyncio.Task[None]] = set()
        self._stopping = False

    async def waiting(self, seconds: float) -> float:
        """A few clients that wait for each reply; returns the requests per second."""
        answered = 0
        end = time.monotonic() + seconds

        async def client(http: httpx.AsyncClient) -> None:
            nonlocal answered
            while time.monotonic() < end:
                await self._send(http, self._kind())
                answered += 1

        async with self._http() as http:
            await asyncio.gather(*(client(http) for _ in range(_CLIENTS)))
        return answered / seconds

    async def arriving(self, rate: float, seconds: float) -> float | None:
        """Requests that arrive at a rate, then SIGTERM; returns the time that the end took."""
        async with self._http() as http, self._http() as probe:
            watching = asyncio.create_task(self._watch(probe))
            due = time.monotonic()
            end = due + seconds
            while (now := time.monotonic()) < end:
                due += self._chance.expovariate(rate)
                await asyncio.sleep(max(0.0, due - now))
                # What came much too late is not caught up: on a busy machine that never ends.
                if len(self._open) >= _CONNECTIONS or now > due + _LATE:
                    self.record.unsent += 1
                    continue
                task = asyncio.create_task(self._send(http, self._kind()))
                self._open.add(task)
                task.add_done_callback(self._open.discard)
            self._stopping = True
            watching.cancel()
            self._server.stop()
            stopped = time.monotonic()
            ended = await asyncio.to_thread(self._server.ended, self._server.timeout + SHUTDOWN)
            taken = time.monotonic() - stopped
            await asyncio.gather(*self._open, return_exceptions=True)
        return taken if ended else None

    def _http(self) -> httpx.AsyncClient:
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=64)
        # A client must not use a connection at the moment when the server closes it: after 5 s.
        limits.keepalive_expiry = 2.0
        return httpx.AsyncClient(base_url=self._server.url, timeout=None, limits=limits)

    def _kind(self) -> str:
        return self._chance.choices(list(KINDS), [kind.share for kind in KINDS.values()])[0]

    async def _watch(self, http: httpx.AsyncClient) -> None:
        while True:
            started = time.monotonic()
            try:
                status = (await http.get("/health", timeout=TIMEOUT)).status_code
            except httpx.HTTPError as error:
                self.record.problems[f"/health: {type(error).__name__}"] += 1
            else:
                self.record.health.append(time.monotonic() - started)
                if status != 200:
                    self.record.problems[f"/health has the status {status}"] += 1
            self.record.memory.append(self._server.memory())
            await asyncio.sleep(0.25)

    async def _send(self, http: httpx.AsyncClient, name: str) -> None:
        kind = KINDS[name]
        model, body = kind.make(self._chance)
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {_KEY}"} if kind.key else {}
        patience = kind.patience and self._chance.uniform(0, kind.patience)
        started = time.monotonic()
        try:
            async with asyncio.timeout(patience):
                url = f"/models/{model}"
                async with http.stream("POST", url, content=content, headers=headers) as reply:
                    text = (await reply.aread()).decode()
        except TimeoutError:
            self.record.statuses[name][0] += 1
            return
        except httpx.HTTPError as error:
            if not self._stopping:  # a server that ends refuses connections
                self.record.problems[f"{name}: {type(error).__name__}"] += 1
            return
        status = reply.status_code
        self.record.statuses[name][status] += 1
        if status not in kind.expected and not (self._stopping and status in _REFUSED):
            self.record.problems[f"{name}: status {status}: {text[:200]}"] += 1
        elif status == 200:
            self.record.seconds[name].append(time.monotonic() - started)
            if kind.stream and (wrong := _wrong_end(text)):
                self.record.problems[f"{name}: {wrong}"] += 1


def _wrong_end(stream: str) -> str:
    """What is wrong with the last event of a stream; empty if nothing is."""
    last = json.loads(stream.strip().rsplit("data:", 1)[-1])
    if "error" in last:
        refused = last["error_type"] in ("overloaded", "timeout")
        return "" if refused else f"the stream ends with {last}"
    return "" if last.get("details") or last.get("generated_text") else "the stream has no end"


def soak(seconds: float, *, timeout: float = TIMEOUT, seed: int = 0) -> Result:
    """Run the soak test; the measurement of the sustainable load takes a fifth of the time.

    Args:
        seconds: Duration of the whole load.
        timeout: Seconds in which the server answers or refuses a request.
        seed: Seed of the requests.
    """
    server = Server(timeout)
    load = Load(server, random.Random(seed))

    async def run() -> Result:
        first = min(30.0, seconds / 5)
        sustainable = await load.waiting(first)
        problems, load.record = load.record.problems, Record()
        load.record.problems = problems
        rate, rest = OVERLOAD * sustainable, seconds - first
        shutdown = await load.arriving(rate, rest)
        sent = sum(sum(counts.values()) for counts in load.record.statuses.values())
        return Result(load.record, sustainable, sent / rest, rest, timeout, shutdown)

    try:
        return asyncio.run(run())
    finally:
        server.process.kill()


def report(result: Result) -> str:
    """The figures as Markdown."""
    record = result.record
    health = sorted(record.health)
    lines = [
        f"{result.seconds:.0f} seconds on {os.cpu_count()} cores, which the clients share: "
        f"{result.offered:.0f} requests per second; {result.sustainable:.0f} were sustainable.",
        "",
        "| request | answered | 429 | 503 | 504 | other | median | 95 % | 99 % |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name in KINDS:
        counts = record.statuses[name]
        ok = counts[200]
        other = [
            f"{count} × {status or 'hung up'}"
            for status, count in sorted(counts.items())
            if status not in {200, *_REFUSED}
        ]
        times = sorted(record.seconds[name])
        shown = [_milliseconds(times, share) for share in (0.5, 0.95, 0.99)]
        refused = [str(counts[status]) for status in sorted(_REFUSED)]
        lines.append(f"| {' | '.join([name, str(ok), *refused, ', '.join(other), *shown])} |")
    first, last, most = record.memory[0], record.memory[-1], max(record.memory)
    lines += [
        "",
        f"- `/health`: {len(health)} of {len(health)} answered; median "
        f"{_milliseconds(health, 0.5)}, at most {_milliseconds(health, 1)}.",
        f"- Memory of the server: {first / 1e6:.0f} MB at the start of the overload, "
        f"{last / 1e6:.0f} MB at its end, at most {most / 1e6:.0f} MB; the last fifth of the time "
        f"against the second one: {result.growth - 1:+.1%}.",
        f"- Requests that were due and not sent, as {_CONNECTIONS} were open: {record.unsent:,}.",
        f"- End after SIGTERM, with requests under way: {result.shutdown or 0:.1f} seconds.",
    ]
    return "\n".join(lines)


def _milliseconds(times: Sequence[float], share: float) -> str:
    if not times:
        return ""
    return f"{1000 * times[min(len(times) - 1, int(share * len(times)))]:,.0f} ms"


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="Run a server under twice its sustainable load.")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="duration of the load")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--update-docs", action="store_true", help=f"write the figures into {PAGE}")
    given = parser.parse_args()
    result = soak(given.seconds, seed=given.seed)
    text = report(result)
    print(text)
    problems = result.problems()
    for problem in problems:
        print(f"FAILED: {problem}", file=sys.stderr)
    if given.update_docs and not problems:
        before, rest = PAGE.read_text(encoding="utf-8").split(MARKS[0])
        after = rest.split(MARKS[1])[1]
        page = f"{before}{MARKS[0]}\n{text}\n{MARKS[1]}{after}"
        PAGE.write_text(page, encoding="utf-8")
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
