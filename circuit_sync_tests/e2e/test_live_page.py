"""The live page in a real browser: its own EventSource follows syncs as they run."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Page, expect

from circuit_sync.events.tokens import revoke_tokens
from circuit_sync_tests.e2e.chromium import PROGRAM, Record, chromium
from circuit_sync_tests.events.listening import NOW, gateway_running, token_of
from circuit_sync_tests.scenery import Desk
from circuit_sync_tests.sync.test_snapshots import snap
from circuit_sync_tests.sync.units_desk import WO, answer_units, circuits, sync_units

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="Chromium is not installed")

PICTURES = Path(os.environ.get("ARTEFACTS", ".circuit_sync/e2e"))


@pytest.fixture
def page() -> Iterator[Page]:
    with chromium() as page:
        yield page


@pytest.fixture
def record(page: Page) -> Record:
    return Record(page)


@pytest.fixture
def token(desk: Desk) -> str:
    desk.execute("INSERT INTO users (name, email, role) VALUES ('Ada', 'ada@example.com', 'admin')")
    return token_of(desk.database, "ada@example.com")


def enter(page: Page, token: str) -> None:
    """As with the keyboard only: the field has the focus, Enter sends it."""
    expect(page.locator("#token")).to_be_focused()
    page.keyboard.insert_text(token)
    page.keyboard.press("Enter")
    expect(page.locator("#link")).to_have_class("live")


def expect_text(page: Page, selector: str, text: str) -> None:
    """Waits until this can be read there."""
    expect(page.locator(selector)).to_contain_text(text, use_inner_text=True)


def test_the_page_follows_a_running_sync_and_asks_nobody_else(
    desk: Desk, page: Page, record: Record, token: str
) -> None:
    with gateway_running(desk.database) as url:
        page.goto(url)
        enter(page, token)
        sync_id = desk.fetch("ACTIV")
        expect_text(page, "#feed", f"Sync {sync_id} started: circuits ACTIV")
        expect_text(page, "#syncs", "running")
        desk.store(sync_id)
        expect_text(page, "#feed", f"Sync {sync_id} completed")
        expect_text(page, "#syncs", "completed")
        assert token not in page.content()
    assert record.complaints == []
    assert [request for request in record.requests if not request.startswith((url, "data:"))] == []
    assert [request for request in record.requests if token in request] == []


def test_the_page_comes_back_by_itself_after_a_restart_and_misses_nothing(desk: Desk, page: Page, token: str) -> None:
    with gateway_running(desk.database) as url:
        page.goto(url)
        enter(page, token)
        first = desk.sync("ACTIV").sync_id
        expect_text(page, "#feed", f"Sync {first} completed")
    expect(page.locator("#link")).to_have_class("off")
    missed = desk.sync("QC").sync_id
    with gateway_running(desk.database, port=int(url.rsplit(":", 1)[1])):
        expect(page.locator("#link")).to_have_class("live")
        expect_text(page, "#feed", f"Sync {missed} completed")
        assert page.locator("#feed").inner_text().count("completed") == 2
        with desk.database.transaction() as connection:
            revoke_tokens(connection, "ada@example.com", NOW)
        page.evaluate("dispatchEvent(new Event('online'))")
        expect_text(page, "#refused", "revoked")


def test_a_sync_of_one_work_order_and_one_of_snapshots_are_told_as_what_they_are(
    desk: Desk, page: Page, record: Record, token: str
) -> None:
    circuits(desk, WO)
    answer_units(desk, WO)
    with gateway_running(desk.database) as url:
        page.goto(url)
        enter(page, token)
        units, snapshots = sync_units(desk, work_orders=(WO,)).sync_id, snap(desk).sync_id
        for told in (
            f"Sync {units} started: aggregates of 1 work order",
            f"Sync {units} completed: 0 new, 1 changed, 0 unchanged",
            f"Sync {snapshots} started: snapshots",
            f"Sync {snapshots} completed: 1 snapshot",
        ):
            expect(page.locator("#feed").get_by_text(told, exact=True)).to_be_visible()
        assert page.locator("#syncs").inner_text().count("never") == 7
    assert record.complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_fits_a_phone_and_a_desk(desk: Desk, page: Page, token: str, scheme: Literal["light", "dark"]) -> None:
    desk.sync("ACTIV", "QC", "REWRK", "CLOSE")
    page.emulate_media(color_scheme=scheme)
    with gateway_running(desk.database) as url:
        page.goto(url)
        enter(page, token)
        for width, height in ((360, 740), (1280, 900)):
            page.set_viewport_size({"width": width, "height": height})
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            page.screenshot(path=PICTURES / f"live-page-{width}-{scheme}.png", full_page=True)
        light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert light == ("rgb(246, 247, 245)" if scheme == "light" else "rgb(18, 22, 20)")
