"""Events live: how late the last of 500 listeners gets them, against one bare LISTEN loop that does nothing else."""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from sqlalchemy import text

from circuit_sync.database.connection import Database
from circuit_sync.events.outbox import emit
from circuit_sync.events.tokens import issue_token
from circuit_sync_tests.bench.measuring import in_turns
from circuit_sync_tests.bench.report import Report
from circuit_sync_tests.events.listening import NOW, Told, wait_for

LISTENERS = 500
EVENTS = 1_000


def bench_events(url: str, report: Report) -> None:
    """``EVENTS`` events, each in a transaction of its own and all in one, to ``LISTENERS`` streams of the gateway."""
    with Database(url) as database, _gateway(url) as base_url:
        token = _token(database)
        for size, what in ((1, f"{EVENTS} commits"), (EVENTS, f"one commit of {EVENTS}")):
            bare, ours = in_turns(
                partial(_worst_delay, database, size, [_BARE, url, str(EVENTS)]),
                partial(_worst_delay, database, size, [_STREAMS, base_url, token, str(LISTENERS), str(EVENTS)]),
            )
            report.line(f"{what}, a bare LISTEN loop: worst delay", bare * 1000, "ms")
            report.line(f"{what}, {LISTENERS} listeners, all in order: worst delay of the last", ours * 1000, "ms")
            report.ratio(
                f"{what}: worst delay for a listener's share / that of a bare LISTEN loop",
                ours / LISTENERS / bare,
                at_most=1.0,
            )


def _worst_delay(database: Database, size: int, program: Sequence[str]) -> float:
    """The most seconds from just before an event's commit to its arrival at the last of the program's listeners."""
    command = [sys.executable, "-c", *program]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as listening:
        assert listening.stdout is not None
        assert listening.stdout.readline() == "ready\n"
        committed: list[float] = []
        for first in range(0, EVENTS, size):
            with database.transaction() as connection:
                numbers = range(first, first + size)
                emit(connection, [Told(number, ["dashboard"]) for number in numbers], NOW)
                for number in numbers:
                    connection.execute(text("SELECT pg_notify('bare', :number)"), {"number": str(number)})
                committed += [time.monotonic()] * size
        arrived = json.loads(listening.stdout.readline())
    return max(there - here for here, there in zip(committed, arrived, strict=True))


def _token(database: Database) -> str:
    with database.transaction() as connection:
        connection.execute(
            text("INSERT INTO users (name, email) VALUES ('Bench', 'bench@example.com') ON CONFLICT DO NOTHING")
        )
        return issue_token(connection, "bench@example.com", NOW)


@contextmanager
def _gateway(url: str) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    surroundings = os.environ | {"CIRCUIT_SYNC_DATABASE_URL": url}
    command = [sys.executable, "-m", "circuit_sync.cli", "gateway", "--port", str(port)]
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen(command, env=surroundings, cwd=folder, stderr=subprocess.DEVNULL) as process,
    ):
        try:
            wait_for(f"http://127.0.0.1:{port}")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


_BARE = """
import json, sys, time, psycopg
url, events = sys.argv[1], int(sys.argv[2])
with psycopg.connect(url, autocommit=True) as connection:
    connection.execute("LISTEN bare")
    print("ready", flush=True)
    arrived = []
    for notification in connection.notifies():
        assert int(notification.payload) == len(arrived)
        arrived.append(time.monotonic())
        if len(arrived) == events:
            break
print(json.dumps(arrived))
"""

_STREAMS = r"""
import asyncio, json, re, sys, time
from urllib.parse import urlsplit

url, token, listeners, events = urlsplit(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
NUMBER = re.compile(rb'"number": (\d+)')
last = [0.0] * events

class Stream(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport, self.seen, self.rest, self.is_open = transport, 0, b"", False
        request = f"GET /events?channel=dashboard HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n"
        transport.write(request.encode())

    def data_received(self, data):
        global waiting, unfinished
        now = time.monotonic()
        data = self.rest + data
        if not self.is_open:
            if b"\nid: " not in data:
                self.rest = data
                return
            self.is_open = True
            waiting -= 1
            if not waiting:
                print("ready", flush=True)
        found, end = [], 0
        for match in NUMBER.finditer(data):
            if match.end() == len(data):
                break
            found.append(int(match[1]))
            end = match.end()
        self.rest = data[max(end, len(data) - 40):]
        if not self.seen:  # What the gateway has not yet passed on of the events before is not meant.
            found = found[found.index(0):] if 0 in found else []
        if found != list(range(self.seen, self.seen + len(found))):
            done.set_exception(AssertionError("out of order"))
            return
        for number in found:
            last[number] = now
        self.seen += len(found)
        if self.seen == events and found:
            unfinished -= 1
            if not unfinished:
                done.set_result(None)

async def main():
    global done
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    for _ in range(listeners):
        await loop.create_connection(Stream, url.hostname, url.port)
    await done

waiting = unfinished = listeners
asyncio.run(main())
print(json.dumps(last))
"""
