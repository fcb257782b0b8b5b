"""Tokens: shown once, stored as a hash, revocable; tickets: once, for a minute."""

from hashlib import sha256

import pytest
from sqlalchemy import text

from circuit_sync.domain.errors import UsageError
from circuit_sync.events.tokens import TICKET_SECONDS, Tickets, find_holder, issue_token, revoke_tokens
from circuit_sync_tests.events.conftest import Place
from circuit_sync_tests.events.listening import NOW


def test_only_the_hash_of_a_token_is_stored(place: Place) -> None:
    with place.database.transaction() as connection:
        token = issue_token(connection, "PAT@example.com", NOW)
        stored = connection.execute(text("SELECT * FROM user_tokens ORDER BY id DESC LIMIT 1")).one()
    assert stored.token_hash == sha256(token.encode()).hexdigest()
    assert token not in str(stored)
    assert len(token) > 40


def test_revoking_ends_all_tokens_of_the_user_and_no_other(place: Place) -> None:
    with place.database.transaction() as connection:
        second = issue_token(connection, "pat@example.com", NOW)
        assert revoke_tokens(connection, "pat@example.com", NOW) == 2
        assert revoke_tokens(connection, "pat@example.com", NOW) == 0
        holders = [find_holder(connection, NOW, token=token) for token in (place.tokens["pat"], second)]
        other = find_holder(connection, NOW, token=place.tokens["sue"])
    assert holders == [None, None]
    assert other is not None
    assert other.name == "Sue"


def test_the_use_of_a_token_is_noted(place: Place) -> None:
    with place.database.transaction() as connection:
        find_holder(connection, NOW, token=place.tokens["pat"])
        used = connection.scalar(text("SELECT last_used_at FROM user_tokens WHERE user_id = 3"))
    assert used == NOW


def test_a_token_for_nobody_is_refused_in_one_line(place: Place) -> None:
    with place.database.transaction() as connection, pytest.raises(UsageError, match=r"nobody@example\.com"):
        issue_token(connection, "nobody@example.com", NOW)


def test_a_ticket_is_worth_one_use_within_its_minute() -> None:
    now = [0.0]
    tickets = Tickets(lambda: now[0])
    first, second, third = (tickets.issue(token_id) for token_id in (1, 2, 3))
    assert tickets.redeem(first) == 1
    assert tickets.redeem(first) is None
    now[0] += TICKET_SECONDS - 1
    assert tickets.redeem(second) == 2
    now[0] += 2
    assert tickets.redeem(third) is None
    assert tickets.redeem("guess") is None
