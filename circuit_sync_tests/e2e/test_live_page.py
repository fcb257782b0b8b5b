"""The live page in a real browser: its own EventSource follows syncs as they run."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from circuit_sync.events.tokens import revoke_tokens
from circuit_sync_tests.e2e.chromium import PROGRAM, Page, chromium
from circuit_sync_tests.events.listening import NOW, gateway_running, token_of
from circuit_sync_tests.scenery import Desk
from circuit_sync_tests.sync.test_snapshots import snap
from circuit_sync_tests.sync.units_desk import WO, answer_units, circuits, sync_units

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="Chromium is not installed")

PICTURES = Path(os.environ.get("ARTEFACTS", ".circuit_sync/e2e"))
LIVE = "document.getElementById('link').className === 'live'"
FEED = "document.getElementById('feed').innerText"


@pytest.fixture
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with chromium(tmp_path_factory.mktemp("chromium")) as page:
        yield page


@pytest.fixture
def token(desk: Desk) -> str:
    desk.execute("INSERT INTO users (name, email, role) VALUES ('Ada', 'ada@example.com', 'admin')")
    return token_of(desk.database, "ada@example.com")


def enter(page: Page, token: str) -> None:
    """As with the keyboard only: the field has the focus, Enter sends it."""
    page.until("document.activeElement.id === 'token'")
    page.type(token)
    page.press("Enter", 13)
    page.until(LIVE)


def test_the_page_follows_a_running_sync_and_asks_nobody_else(desk: Desk, page: Page, token: str) -> None:
    with gateway_running(desk.database) as url:
        page.open(url)
        enter(page, token)
        sync_id = desk.fetch("ACTIV")
        page.until(f"{FEED}.includes('Sync {sync_id} started: circuits ACTIV')")
        page.until("document.getElementById('syncs').innerText.includes('running')")
        desk.store(sync_id)
        page.until(f"{FEED}.includes('Sync {sync_id} completed')")
        page.until("document.getElementById('syncs').innerText.includes('completed')")
        assert token not in page.run("document.documentElement.outerHTML")
    assert page.complaints == []
    assert [request for request in page.requests if not request.startswith((url, "data:"))] == []
    assert [request for request in page.requests if token in request] == []


def test_the_page_comes_back_by_itself_after_a_restart_and_misses_nothing(desk: Desk, page: Page, token: str) -> None:
    with gateway_running(desk.database) as url:
        page.open(url)
        enter(page, token)
        first = desk.sync("ACTIV").sync_id
        page.until(f"{FEED}.includes('Sync {first} completed')")
    page.until("document.getElementById('link').className === 'off'")
    missed = desk.sync("QC").sync_id
    with gateway_running(desk.database, port=int(url.rsplit(":", 1)[1])):
        page.until(f"{LIVE} && {FEED}.includes('Sync {missed} completed')")
        assert page.run(f"{FEED}.split('completed').length - 1") == 2
        with desk.database.transaction() as connection:
            revoke_tokens(connection, "ada@example.com", NOW)
        page.run("dispatchEvent(new Event('online'))")
        page.until("document.getElementById('refused').innerText.includes('revoked')")


def test_a_sync_of_one_work_order_and_one_of_snapshots_are_told_as_what_they_are(
    desk: Desk, page: Page, token: str
) -> None:
    circuits(desk, WO)
    answer_units(desk, WO)
    with gateway_running(desk.database) as url:
        page.open(url)
        enter(page, token)
        units, snapshots = sync_units(desk, work_orders=(WO,)).sync_id, snap(desk).sync_id
        for told in (
            f"Sync {units} started: aggregates of 1 work order",
            f"Sync {units} completed: 0 new, 1 changed, 0 unchanged",
            f"Sync {snapshots} started: snapshots",
            f"Sync {snapshots} completed: 1 snapshot",
        ):
            page.until(f"{FEED}.split('\\n').includes('{told}')")
        assert page.run("document.getElementById('syncs').innerText.split('never').length - 1") == 7
    assert page.complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_fits_a_phone_and_a_desk(desk: Desk, page: Page, token: str, scheme: str) -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    desk.sync("ACTIV", "QC", "REWRK", "CLOSE")
    with gateway_running(desk.database) as url:
        page.open(url)
        enter(page, token)
        for width, height in ((360, 740), (1280, 900)):
            page.show_as(width, height, scheme)
            assert page.run("document.documentElement.scrollWidth") <= width
            page.picture(PICTURES / f"live-page-{width}-{scheme}.png")
        light = page.run("getComputedStyle(document.body).backgroundColor")
    assert light == ("rgb(246, 247, 245)" if scheme == "light" else "rgb(18, 22, 20)")
