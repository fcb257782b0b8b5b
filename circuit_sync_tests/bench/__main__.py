"""``make bench``: every promise about speed and memory, as a ratio against a named peer in the same run."""

import resource
import sys
import tempfile
from pathlib import Path

from circuit_sync.database.connection import Database
from circuit_sync.database.migrate import upgrade
from circuit_sync.database.server.embedded import embedded_server
from circuit_sync_tests.bench.aggregates import bench_aggregates
from circuit_sync_tests.bench.calls import bench_command, bench_pace, bench_start_up
from circuit_sync_tests.bench.circuits import bench_normalising, bench_store
from circuit_sync_tests.bench.events import bench_events
from circuit_sync_tests.bench.growth import bench_first_day, bench_pages
from circuit_sync_tests.bench.report import Report
from circuit_sync_tests.bench.snapshots import bench_snapshots


def main() -> int:
    report = Report()
    with tempfile.TemporaryDirectory() as folder:
        with embedded_server(Path(folder) / "bench") as url, Database(url) as database:
            upgrade(database)
            report.title("Storing circuits")
            bench_normalising(report)
            bench_store(database, report)
            report.line("peak memory of this process so far", _peak_megabytes(), "MB")
            report.title("Keeping the pace")
            bench_pace(database, report)
            report.title("Following events")
            bench_events(url, report)
        with embedded_server(Path(folder) / "snapshots") as url, Database(url) as database:
            upgrade(database)
            report.title("Snapshots from history")
            bench_snapshots(database, report)
            report.title("Starting a command")
            bench_start_up(url, report)
        with embedded_server(Path(folder) / "growth") as url:
            report.title("What years cost")
            bench_first_day(Path(folder), report)
            bench_pages(url, report)
        report.title("A whole command")
        bench_command(Path(folder), report)
    report.title("Computing aggregates")
    bench_aggregates(report)
    return 0 if report.kept else 1


def _peak_megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    sys.exit(main())
