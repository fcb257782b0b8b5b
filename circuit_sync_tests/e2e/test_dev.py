"""``make dev`` as a person sees it: two syncs, an outage, a retry, a kill, a recovery; then the UI."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from circuit_sync.database.server.embedded import embedded_server
from circuit_sync.simulator import Simulator, World, environment
from circuit_sync_tests.e2e.chromium import PROGRAM, chromium
from circuit_sync_tests.e2e.deployment import LONG, PROJECT, Gate, Instance, answers, free_port
from circuit_sync_tests.scenery import until

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="Chromium is not installed")

PICTURES = Path(os.environ.get("ARTEFACTS", ".circuit_sync/e2e")).resolve()
OURS = "module_name: circuit_sync.definitions"
FAST = "module_name: circuit_sync_tests.e2e.fast"
PLACES = {
    "assets": ("/assets", ["circuits", "circuit_aggregates"]),
    "lineage": ("/asset-groups", ["workstudio", "progress"]),
    "runs": ("/runs", ["sync_circuits", "Success", "Failure"]),
    "materialisation": (
        "/assets/circuits?view=partitions&partition=ACTIV",
        ["sync_log_id", "rows_received", "SELECT * FROM sync_events"],
    ),
    "checks": ("/assets/circuits?view=checks", ["statuses_are_fresh", "planners_are_linked"]),
    "automation": ("/automation", ["retry_failed_syncs", "close_abandoned_syncs", "every_minute", "Standard sensor"]),
}
NOT_COPIED = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info")


class Dev(Instance):
    """``make dev`` in a copy of the project with the fast schedule, and a WorkStudio that the test holds."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        # Its world stands still: what departs would start syncs that make a retry needless.
        self.gate = Gate()
        self.simulator = stack.enter_context(Simulator(World(circuits=60), advance=False, clock=self.gate))
        shutil.copytree(PROJECT, folder, ignore=NOT_COPIED, dirs_exist_ok=True)
        (folder / ".venv").symlink_to(PROJECT / ".venv")
        workspace = (PROJECT / "workspace.yaml").read_text()
        assert OURS in workspace
        (folder / "workspace.yaml").write_text(workspace.replace(OURS, FAST))
        super().__init__(stack.enter_context(embedded_server(folder / ".circuit_sync")), free_port())
        settings = environment(self.simulator.base_url) | {
            "CIRCUIT_SYNC_RETRY_DELAYS": "1,1",
            "WORKSTUDIO_RATE_LIMIT_DELAY": "0",
            "WORKSTUDIO_TIMEOUT": "600",
            "WORKSTUDIO_MAX_ATTEMPTS": "1",
            "PYTHONPATH": str(folder),
        }
        self.folder = folder
        with (folder / "dev.log").open("wb") as log:
            self.process = subprocess.Popen(
                ["make", "dev", f"PORT={self.web_port}", f"LIVE_PORT={free_port()}"],
                cwd=folder,
                env=os.environ | settings,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        stack.callback(self.end)
        until(lambda: answers(self.web_port), LONG)

    def end(self) -> None:
        """Ctrl-C: the terminal signals whatever runs in front of it."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGINT)
            self.process.wait(LONG)

    def syncs(self, condition: str = "true") -> list[dict[str, Any]]:
        return self.rows(f"SELECT * FROM sync_logs WHERE sync_type = 'circuit_list' AND {condition} ORDER BY id")

    def wait_for_sync(self, condition: str) -> dict[str, Any]:
        until(lambda: bool(self.syncs(condition)), LONG)
        return self.syncs(condition)[0]


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    with ExitStack() as stack:
        yield Dev(tmp_path_factory.mktemp("dev"), stack)


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with chromium() as page:
        page.set_viewport_size({"width": 1500, "height": 1000})
        yield page


def test_two_ticks_are_two_syncs(dev: Dev) -> None:
    dev.switch("every_minute", on=True)
    first = dev.wait_for_sync("sync_trigger = 'scheduled' AND sync_status IN ('completed', 'warning')")
    second = dev.wait_for_sync(f"id > {first['id']} AND sync_status IN ('completed', 'warning')")
    dev.switch("every_minute", on=False)
    assert first["circuits_created"] > 0
    assert second["circuits_unchanged"] == first["circuits_created"]


def test_a_sync_that_an_outage_made_fail_is_tried_again(dev: Dev) -> None:
    dev.simulator.stop()
    run = dev.launch("sync_circuits", "ACTIV")
    failed = dev.wait_for_sync(f"dagster_run_id = '{run}' AND sync_status = 'failed'")
    dev.simulator.start()
    assert (failed["retry_at"] - failed["completed_at"]).total_seconds() == 60
    retry = dev.wait_for_sync(f"retry_of = {failed['id']} AND sync_status IN ('completed', 'warning')")
    assert retry["started_at"] >= failed["retry_at"]


def test_a_killed_run_is_closed_and_tried_again(dev: Dev) -> None:
    dev.gate.shut()
    run = dev.launch("sync_circuits", "QC", "REWRK", "CLOSE")
    until(dev.gate.is_held.is_set, LONG)
    os.kill(dev.process_of(run), signal.SIGKILL)
    dev.gate.open()
    killed = dev.wait_for_sync(f"dagster_run_id = '{run}' AND sync_status = 'failed'")
    until(lambda: dev.status_of(run) == "FAILURE", LONG)
    dev.wait_for_sync(f"retry_of = {killed['id']} AND sync_status IN ('completed', 'warning')")
    held = dev.rows("SELECT DISTINCT api_status FROM circuits WHERE departed_at IS NULL")
    assert {row["api_status"] for row in held} == {"ACTIV", "QC", "REWRK", "CLOSE"}


def test_the_tables_hold_what_the_syncs_say(dev: Dev) -> None:
    until(lambda: bool(dev.rows("SELECT 1 FROM circuit_aggregates")) and not dev.unfinished(), LONG)
    assert dev.syncs("sync_status = 'started'") == []
    for name in ("circuits", "circuit_history", "circuit_ui_states", "circuit_aggregates", "sync_events"):
        assert dev.rows(f"SELECT 1 FROM {name} LIMIT 1"), name


@pytest.mark.parametrize("place", PLACES)
def test_the_ui_shows_it(dev: Dev, page: Page, place: str) -> None:
    address, words = PLACES[place]
    page.goto(f"http://127.0.0.1:{dev.web_port}{address}")
    body = page.locator("body")
    try:
        for word in words:
            expect(body).to_contain_text(word, use_inner_text=True, timeout=LONG * 1000)
        expect(body).not_to_contain_text("fetching statuses", use_inner_text=True, timeout=LONG * 1000)
    finally:
        page.screenshot(path=PICTURES / f"{place}.png", full_page=True)


def test_one_signal_ends_all_of_it(dev: Dev) -> None:
    dev.end()
    assert "Error 130" in (dev.folder / "dev.log").read_text()
    assert not answers(dev.web_port)
