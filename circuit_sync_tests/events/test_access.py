"""Who may listen to what, and what the others are told: nothing."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from circuit_sync.database.connection import Database, DatabaseRefused
from circuit_sync.events.gateway import RIGHTS_SECONDS, Gateway
from circuit_sync.events.server import GatewayServer, bind
from circuit_sync_tests.events.conftest import Place
from circuit_sync_tests.events.listening import Listener, gateway_running, tell, wait_for
from circuit_sync_tests.scenery import PATIENCE, get, post, until

CHANNELS = ("dashboard", "sync-status", "circuit.1", "circuit.2", "circuit.3", "circuit.4")
EVERYTHING = set(CHANNELS)
OPEN_TO = {
    "root": EVERYTHING,  # sudo_admin
    "ada": EVERYTHING,  # admin
    "pat": {"dashboard", "circuit.1"},  # planner of circuit 1
    "sue": {"dashboard", "circuit.3"},  # planner who looks after the South
    "gus": {"dashboard"},  # general foreman without circuit or region
    "gil": {"dashboard", "circuit.1", "circuit.2"},  # general foreman of the North
}
NO_CIRCUITS = ("circuit.999", "circuit.999999999999999999")
NO_CHANNEL = (
    *("circuit.0", "circuit.01", "circuit.-1", "circuit.99999999999999999999", "circuit.", "\0", "circuit.1\0"),
    *("circuit.1 ", "circuit.1;--", "circuit.*", "dashboard.1", "Dashboard", "sync.status", "", "*", "%", "circuit.é"),
)


def ask(url: str, token: str | None, *channels: str, path: str = "/events", **headers: str) -> httpx.Response:
    """The headers of an answer; its body too, if it is a refusal."""
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    with httpx.stream(
        "GET", f"{url}{path}", params={"channel": channels}, headers=headers, timeout=PATIENCE
    ) as response:
        if response.status_code != 200:
            response.read()
        return response


def test_every_role_may_listen_to_its_channels_and_no_other(place: Place, url: str) -> None:
    answers = {
        user: {channel: ask(url, place.tokens[user], channel).status_code for channel in CHANNELS} for user in OPEN_TO
    }

    assert answers == {
        user: {channel: 200 if channel in open_to else 403 for channel in CHANNELS} for user, open_to in OPEN_TO.items()
    }


@pytest.mark.parametrize("user", ["ada", "pat"])
def test_a_guessed_circuit_is_refused_like_one_that_is_closed(place: Place, url: str, user: str) -> None:
    closed = ask(url, place.tokens["gus"], "circuit.1")
    for channel in NO_CIRCUITS:
        answer = ask(url, place.tokens[user], channel)
        assert (channel, answer.status_code, answer.content) == (channel, 403, closed.content)
        assert {name for name in answer.headers if name != "date"} == {
            name for name in closed.headers if name != "date"
        }


def test_what_no_channel_is_called_is_refused_with_what_is_allowed(place: Place, url: str) -> None:
    for channel in NO_CHANNEL:
        answer = ask(url, place.tokens["pat"], "dashboard", channel)
        allowed = f"unknown channel {channel!r}: allowed are dashboard, sync-status and circuit.ID"
        assert (answer.status_code, answer.json()) == (400, {"error": allowed})
    surrogate = {"Authorization": f"Bearer {place.tokens['pat']}"}
    assert get(f"{url}/events?channel=%ED%A0%80", headers=surrogate).status_code == 400


def test_one_closed_channel_among_open_ones_refuses_all(place: Place, url: str) -> None:
    assert ask(url, place.tokens["pat"], "dashboard", "circuit.1").status_code == 200
    assert ask(url, place.tokens["pat"], "dashboard", "circuit.2").status_code == 403


def test_a_stream_carries_its_channels_only(place: Place, url: str) -> None:
    with Listener(url, place.tokens["gil"], ["circuit.1", "circuit.2"]) as listener:
        for number, channel in enumerate(CHANNELS):
            tell(place.database, [number], channel)
        tell(place.database, [9], "circuit.2", "circuit.3")
        assert listener.until(3) == [2, 3, 9]


def test_a_broken_token_is_refused(place: Place, url: str) -> None:
    for token in ("nonsense", "", "cst_", place.tokens["ada"][:-1], "é" * 43, "' OR true --", "x" * 5000):
        headers = [(b"Authorization", f"Bearer {token}".encode().strip())]
        for path in ("/events", "/state"):
            answer = get(url + path, params={"channel": "dashboard"}, headers=headers)
            assert (token, answer.status_code, answer.headers["WWW-Authenticate"]) == (token, 401, "Bearer")


def test_no_token_other_schemes_and_a_token_in_the_url_are_refused(place: Place, url: str) -> None:
    token = place.tokens["ada"]
    assert ask(url, None, "dashboard").status_code == 401
    assert ask(url, None, "dashboard", Authorization=f"Basic {token}").status_code == 401
    assert get(f"{url}/events", params={"channel": "dashboard", "ticket": token}).status_code == 401
    assert get(f"{url}/events", params={"channel": "dashboard", "token": token}).status_code == 401
    assert post(f"{url}/ticket").status_code == 401


@pytest.mark.parametrize(
    ("loss", "status"),
    [
        ("UPDATE user_tokens SET revoked_at = now() WHERE user_id = 3", 401),
        ("DELETE FROM users WHERE id = 3", 401),
        ("DELETE FROM circuit_user WHERE user_id = 3", 403),
    ],
)
def test_who_loses_a_right_stops_receiving(place: Place, url: str, loss: str, status: int) -> None:
    with (
        Listener(url, place.tokens["pat"], ["dashboard", "circuit.1"]) as loser,
        Listener(url, place.tokens["ada"]) as other,
    ):
        place.execute(loss)
        loser.until_over()
        tell(place.database, [1])
        assert other.until(1) == [1]
        assert loser.numbers == []
    assert ask(url, place.tokens["pat"], "dashboard", "circuit.1").status_code == status


def test_who_lost_a_right_is_found_at_the_next_look_twenty_seconds_after_the_last(place: Place) -> None:
    slept: list[float] = []
    may_wake = threading.Semaphore(0)

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        while not may_wake.acquire(blocking=False):
            await asyncio.sleep(0.01)

    with gateway_running(place.database, sleep=sleep) as url, Listener(url, place.tokens["pat"]) as loser:
        place.execute("UPDATE user_tokens SET revoked_at = now() WHERE user_id = 3")
        tell(place.database, [1])
        assert loser.until(1) == [1]
        may_wake.release()
        loser.until_over()
        until(lambda: len(slept) == 2)
    assert slept == [RIGHTS_SECONDS] * 2 == [20.0] * 2
    assert not loser.is_cut


def test_a_lost_region_and_a_lost_role_end_streams_too(place: Place, url: str) -> None:
    with (
        Listener(url, place.tokens["sue"], ["circuit.3"]) as planner,
        Listener(url, place.tokens["ada"], ["sync-status"]) as admin,
        Listener(url, place.tokens["root"], ["sync-status"]) as root,
    ):
        place.execute("DELETE FROM user_regions WHERE user_id = 4; UPDATE users SET role = 'planner' WHERE id = 2")
        planner.until_over()
        admin.until_over()
        assert not root.is_over


def test_rights_that_can_be_watched_no_more_end_the_gateway(place: Place) -> None:
    with (
        Database(place.database.url) as own,
        bind("127.0.0.1", 0) as listening,
        ThreadPoolExecutor(1) as threads,
    ):
        server = GatewayServer(Gateway(own, rights_seconds=0.2))
        served = threads.submit(server.serve_on, listening)
        try:
            url = f"http://127.0.0.1:{listening.getsockname()[1]}"
            wait_for(url)
            with Listener(url, place.tokens["pat"], ["circuit.1"]) as listener:
                place.execute("ALTER TABLE circuit_user RENAME TO gone")
                listener.until_over()
            with pytest.raises(DatabaseRefused, match="circuit_user"):
                served.result(PATIENCE)
        finally:
            server.stop()


def test_a_refusal_of_the_database_is_one_line_without_its_words(
    place: Place, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    place.execute("ALTER TABLE user_tokens RENAME TO gone")
    bearer = {"Authorization": f"Bearer {place.tokens['pat']}"}
    answers = [get(f"{url}/state?ticket=T0SECRET", headers=bearer), ask(url, place.tokens["pat"], "dashboard")]
    for answer in answers:
        refusal = {"error": "the database refused this: the gateway's log says why"}
        assert (answer.status_code, answer.json()) == (500, refusal)
    lines = [record.getMessage() for record in caplog.records if record.name == "circuit_sync.events"]
    assert [line.split(":")[0] for line in lines] == ["GET /state", "GET /events"]
    assert all("user_tokens" in line and "SECRET" not in line and "\n" not in line for line in lines)
    assert "Traceback" not in caplog.text


def test_a_ticket_opens_one_stream_for_its_user(place: Place, url: str) -> None:
    answer = post(f"{url}/ticket", headers={"Authorization": f"Bearer {place.tokens['pat']}"}).json()
    assert answer["expires_in"] == 60
    ask_with = {"channel": "circuit.1", "ticket": answer["ticket"]}
    with httpx.stream("GET", f"{url}/events", params=ask_with, timeout=PATIENCE) as first:
        assert first.status_code == 200
    assert get(f"{url}/events", params=ask_with).status_code == 401


def test_a_ticket_is_worth_no_more_than_the_token_behind_it(place: Place, url: str) -> None:
    bearer = {"Authorization": f"Bearer {place.tokens['pat']}"}
    ticket = post(f"{url}/ticket", headers=bearer).json()["ticket"]
    assert get(f"{url}/events", params={"channel": "sync-status", "ticket": ticket}).status_code == 403
    ticket = post(f"{url}/ticket", headers=bearer).json()["ticket"]
    assert get(f"{url}/state", params={"ticket": ticket}).status_code == 401
    place.execute("UPDATE user_tokens SET revoked_at = now() WHERE user_id = 3")
    assert get(f"{url}/events", params={"channel": "dashboard", "ticket": ticket}).status_code == 401


def test_a_broken_last_event_id_is_refused_with_a_reason(place: Place, url: str) -> None:
    for last in ("x", "-1", "1.5", "9" * 19, "1 OR 1=1"):
        answer = ask(url, place.tokens["pat"], "dashboard", **{"Last-Event-ID": last})
        assert (last, answer.status_code) == (last, 400)
        assert "Last-Event-ID" in answer.json()["error"]


def test_a_stream_needs_a_channel_and_takes_a_hundred(place: Place, url: str) -> None:
    assert ask(url, place.tokens["pat"]).status_code == 400
    assert ask(url, place.tokens["ada"], *[f"circuit.{number}" for number in range(1, 102)]).status_code == 400


def test_other_sites_are_closed_out_unless_a_setting_lets_them_in(place: Place, url: str) -> None:
    bearer = {"Authorization": f"Bearer {place.tokens['pat']}"}
    theirs, strange = {"Origin": "https://progress.example.com"}, {"Origin": "https://evil.example.com"}
    assert "access-control-allow-origin" not in get(f"{url}/state", headers=bearer | theirs).headers
    with gateway_running(place.database, origins=["https://progress.example.com"]) as opened:
        let_in = get(f"{opened}/state", headers=bearer | theirs).headers
        assert let_in["access-control-allow-origin"] == "https://progress.example.com"
        assert "access-control-allow-credentials" not in let_in
        assert "access-control-allow-origin" not in get(f"{opened}/state", headers=bearer | strange).headers
