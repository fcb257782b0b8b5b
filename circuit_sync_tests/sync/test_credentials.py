"""Credentials: encrypted at rest, tried in their order, counted, disabled; never shown."""

import pickle
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from cryptography.fernet import Fernet

from circuit_sync.database.people.credentials import planners_by_work_order
from circuit_sync.domain.errors import UsageError
from circuit_sync.simulator import SERVICE_USERNAME
from circuit_sync.sync.people.accounts import (
    account_holder,
    list_accounts,
    rotate_accounts,
    store_account,
    verify_accounts,
)
from circuit_sync.sync.people.credentials import CredentialRotation, open_rotation
from circuit_sync.sync.people.secrets import CannotDecrypt, SecretKeys
from circuit_sync.sync.people.users import NewUser, add_user
from circuit_sync.workstudio.errors import Forbidden, ServerUnreachable, Unauthorized
from circuit_sync.workstudio.server import Credential
from circuit_sync_tests.scenery import Desk

OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()
KEYS = SecretKeys.parse(OLD)
WRONG = "hunter2-wrong"
WO = "2025-1930"


def person(desk: Desk, name: str, password: str | None = None, *, verified: bool = True) -> int:
    """A user who may sign in to the simulator; with a ``password``, a stored and verified account."""
    email = f"{name}@example.com"
    add_user(desk.session, NewUser(name, email, ws_username=f"CONTRACTOR\\{name}"))
    if password is not None:
        store_account(desk.session, KEYS, account_holder(desk.session, email), password)
    user = int(desk.one("SELECT id FROM users WHERE email = %s", email))
    desk.execute("UPDATE user_ws_credentials SET is_valid = %s WHERE user_id = %s", verified, user)
    return user


def right(name: str) -> str:
    return f"{name}-simulator"


def state(desk: Desk, user: int) -> dict[str, Any]:
    (row,) = desk.rows("SELECT * FROM user_ws_credentials WHERE user_id = %s", user)
    return row


def fetch(desk: Desk, rotation: CredentialRotation, *planners: int, times: int = 1) -> list[str]:
    """Who signed in, or tried to, while units were fetched ``times`` times."""
    seen = len(desk.simulator.calls)
    with desk.session.workstudio() as workstudio:
        for _ in range(times):
            rotation.fetch_planned_units(workstudio, WO, planners)
    rotation.record_uses()
    return asked(desk, seen)


def asked(desk: Desk, seen: int = 0) -> list[str]:
    return [str(call.user).split("\\")[1] for call in desk.simulator.calls[seen:] if call.view != "health"]


def test_a_planner_of_the_work_order_is_asked_before_others_and_the_service_account(desk: Desk) -> None:
    person(desk, "jlarch", right("jlarch"))
    planner = person(desk, "mbirch", right("mbirch"))
    rotation = open_rotation(desk.session, KEYS)

    assert fetch(desk, rotation, planner, times=2) == ["mbirch", "mbirch"]

    assert state(desk, planner)["last_used_at"] == desk.clock()
    assert rotation.used() == [{"credential_id": state(desk, planner)["id"], "calls": 2, "refused": 0}]


def test_without_a_planner_the_least_recently_used_credential_is_asked(desk: Desk) -> None:
    users = [person(desk, name, right(name)) for name in ("jlarch", "mbirch", "kalder")]
    desk.execute("UPDATE user_ws_credentials SET last_used_at = now() WHERE user_id = %s", users[0])
    stranger = person(desk, "tmaple")
    unverified = person(desk, "rsumac", right("rsumac"), verified=False)

    assert fetch(desk, open_rotation(desk.session, KEYS), stranger, unverified, times=4) == [
        "mbirch",
        "kalder",
        "jlarch",
        "mbirch",
    ]


def test_a_refusal_counts_and_the_next_one_is_tried_down_to_the_service_account(desk: Desk) -> None:
    planner, other = person(desk, "jlarch", WRONG), person(desk, "mbirch", WRONG)
    rotation = open_rotation(desk.session, KEYS)

    assert fetch(desk, rotation, planner) == ["jlarch", "mbirch", "service"]

    for user in (planner, other):
        row = state(desk, user)
        assert (row["fail_count"], row["is_valid"], row["failed_at"]) == (1, True, desk.clock())
        assert row["last_used_at"] is None
    assert [line["refused"] for line in rotation.used()] == [1, 1, 0]
    assert rotation.used()[-1] == {"credential_id": "service", "calls": 1, "refused": 0}


def test_three_refusals_in_a_row_disable_a_credential_across_runs(desk: Desk) -> None:
    planner = person(desk, "jlarch", WRONG)
    fetch(desk, open_rotation(desk.session, KEYS), planner)
    rotation = open_rotation(desk.session, KEYS)

    assert fetch(desk, rotation, planner, times=3) == ["jlarch", "service", "jlarch", "service", "service"]

    assert (state(desk, planner)["fail_count"], state(desk, planner)["is_valid"]) == (3, False)
    assert any("jlarch@example.com was refused and is not used any more" in line for line in desk.lines)
    assert fetch(desk, open_rotation(desk.session, KEYS), planner) == ["service"]


def test_a_success_between_ends_the_row_of_refusals(desk: Desk) -> None:
    planner = person(desk, "jlarch", right("jlarch"))
    rotation = open_rotation(desk.session, KEYS)

    for _ in range(3):
        desk.simulator.fault("unauthorized", times=1)
        assert fetch(desk, rotation, planner) == ["jlarch", "service"]
        assert state(desk, planner)["fail_count"] == 1
        assert fetch(desk, rotation, planner) == ["jlarch"]
        assert state(desk, planner)["fail_count"] == 0


def test_what_was_replaced_meanwhile_is_not_blamed(desk: Desk) -> None:
    planner = person(desk, "jlarch", WRONG)
    rotation = open_rotation(desk.session, KEYS)
    store_account(desk.session, KEYS, account_holder(desk.session, "jlarch"), right("jlarch"))

    assert fetch(desk, rotation, planner, times=2) == ["jlarch", "service", "service"]

    assert state(desk, planner)["fail_count"] == 0


def test_a_call_with_a_password_that_was_replaced_meanwhile_is_no_use_of_the_new_one(desk: Desk) -> None:
    planner = person(desk, "jlarch", right("jlarch"))
    rotation = open_rotation(desk.session, KEYS)
    store_account(desk.session, KEYS, account_holder(desk.session, "jlarch"), WRONG)

    assert fetch(desk, rotation, planner) == ["jlarch"]

    assert state(desk, planner)["last_used_at"] is None


def test_what_was_put_under_another_key_meanwhile_still_counts(desk: Desk) -> None:
    planner = person(desk, "jlarch", WRONG)
    rotation = open_rotation(desk.session, KEYS)
    rotate_accounts(desk.session, SecretKeys.parse(f"{NEW}, {OLD}"))

    assert fetch(desk, rotation, planner, times=4) == ["jlarch", "service"] * 3 + ["service"]

    assert (state(desk, planner)["fail_count"], state(desk, planner)["is_valid"]) == (3, False)


def test_an_account_that_may_not_see_a_work_order_is_not_blamed_and_the_next_one_is_tried(desk: Desk) -> None:
    planner = person(desk, "jlarch", right("jlarch"))
    rotation = open_rotation(desk.session, KEYS)

    for _ in range(3):
        desk.simulator.fault("status", code=403, times=1)
        assert fetch(desk, rotation, planner) == ["jlarch", "service"]

    assert fetch(desk, rotation, planner) == ["jlarch"]
    assert (state(desk, planner)["fail_count"], state(desk, planner)["is_valid"]) == (0, True)
    assert rotation.used()[0] == {"credential_id": state(desk, planner)["id"], "calls": 4, "refused": 3}


def test_what_a_planner_and_one_more_may_not_see_not_everybody_is_asked_for(desk: Desk) -> None:
    planner = person(desk, "jlarch", right("jlarch"))
    for name in ("kalder", "mbirch"):
        person(desk, name, right(name))
    desk.simulator.fault("status", code=403)

    with pytest.raises(Forbidden):
        fetch(desk, open_rotation(desk.session, KEYS), planner)

    assert asked(desk) == ["jlarch", "kalder", "service"]


@pytest.mark.parametrize("password", [WRONG, right("jlarch")])
def test_a_work_order_that_one_account_may_not_see_and_no_other_can_is_forbidden(desk: Desk, password: str) -> None:
    planner = person(desk, "jlarch", password)
    desk.simulator.fault("status", code=403, skip=1 if password == WRONG else 0)

    with pytest.raises(Forbidden):
        fetch(desk, open_rotation(desk.session, KEYS), planner)

    assert asked(desk) == ["jlarch", "service"]


def test_the_service_account_is_never_disabled_and_the_last_refusal_is_raised(desk: Desk) -> None:
    planner = person(desk, "jlarch", WRONG)
    session = replace(desk.session, service_credential=Credential(SERVICE_USERNAME, WRONG))
    rotation = open_rotation(session, KEYS)
    with session.workstudio() as workstudio:
        for _ in range(4):
            with pytest.raises(Unauthorized) as raised:
                rotation.fetch_planned_units(workstudio, WO, [planner])
            assert WRONG not in str(raised.value)

    assert asked(desk) == ["jlarch", "service"] * 3 + ["service"]


def test_another_failure_is_nobodys_fault(desk: Desk) -> None:
    planner = person(desk, "jlarch", right("jlarch"))
    desk.simulator.fault("status", code=503, times=1)

    with pytest.raises(ServerUnreachable):
        fetch(desk, open_rotation(desk.session, KEYS), planner)

    assert (state(desk, planner)["fail_count"], asked(desk)) == (0, ["jlarch"])


def test_many_threads_share_the_rotation(desk: Desk) -> None:
    names = ("jlarch", "mbirch", "kalder", "tmaple")
    users = [person(desk, name, right(name)) for name in names]
    bad = person(desk, "rsumac", WRONG)
    assert desk.session.server is not None
    session = replace(desk.session, server=replace(desk.session.server, concurrency=5))
    rotation = open_rotation(session, KEYS)
    with session.workstudio() as workstudio:
        orders = [f"none-{number}" for number in range(40)]
        answers = dict(workstudio.fetch_many(orders, lambda order: rotation.fetch_planned_units(workstudio, order, ())))
    rotation.record_uses()

    assert len(answers) == 40
    assert all(hasattr(answer, "frame") for answer in answers.values())
    used = {line["credential_id"]: line["calls"] - line["refused"] for line in rotation.used()}
    assert sum(used.values()) == 40
    assert all(5 <= used[state(desk, user)["id"]] <= 15 for user in users)
    assert state(desk, bad)["is_valid"] is False
    assert "service" not in used


@pytest.mark.parametrize(
    ("started_by", "expected"),
    [
        ("jlarch", ["jlarch"]),
        ("kalder", ["kalder", "service"]),
        ("tmaple", ["service"]),
        (None, ["service"]),
    ],
)
def test_a_circuit_list_is_asked_for_by_who_started_it_else_by_the_service_account(
    desk: Desk, started_by: str | None, expected: Sequence[str]
) -> None:
    users = {
        "jlarch": person(desk, "jlarch", right("jlarch")),
        "kalder": person(desk, "kalder", WRONG),
        "tmaple": person(desk, "tmaple"),
    }
    rotation = open_rotation(desk.session, KEYS)
    with desk.session.workstudio() as workstudio:
        rotation.fetch_circuits(workstudio, "QC", users[started_by] if started_by else None)

    assert asked(desk) == expected


def test_a_circuit_list_is_asked_for_in_turn_if_the_service_account_is_refused(desk: Desk) -> None:
    person(desk, "jlarch", right("jlarch"))
    session = replace(desk.session, service_credential=Credential(SERVICE_USERNAME, WRONG))
    with session.workstudio() as workstudio:
        open_rotation(session, KEYS).fetch_circuits(workstudio, "QC")

    assert asked(desk) == ["service", "jlarch"]


def test_planners_of_a_work_order_come_as_they_hold_it_if_they_have_a_working_credential(desk: Desk) -> None:
    desk.answer("ACTIV", [{"SS_WO": WO, "SS_TAKENBY": "CONTRACTOR\\jlarch"}, {"SS_WO": "other", "SS_TAKENBY": ""}])
    desk.sync()
    former, holder, without, invalid = (
        person(desk, "kalder", right("kalder")),
        person(desk, "jlarch", right("jlarch")),
        person(desk, "tmaple"),
        person(desk, "rsumac", WRONG, verified=False),
    )
    for user in (former, without, invalid):
        desk.execute(
            "INSERT INTO circuit_user SELECT id, %s, 'manual', now() + '1 day' FROM circuits WHERE work_order = %s",
            user,
            WO,
        )

    with desk.database.transaction() as connection:
        found = planners_by_work_order(connection, [WO, "other", "none"])

    assert found == {WO: [holder, former]}


def test_nothing_configured_is_no_cause_for_complaint(desk: Desk) -> None:
    assert fetch(desk, open_rotation(desk.session, SecretKeys())) == ["service"]
    assert desk.lines == []


@pytest.mark.parametrize(
    ("keys", "complaint"),
    [
        (SecretKeys(), "warning: CIRCUIT_SYNC_SECRET_KEY is not set: the 1 stored credentials cannot be used"),
        (SecretKeys.parse(NEW), "warning: the credential of jlarch@example.com cannot be used: no key of"),
    ],
)
def test_without_the_right_key_the_service_account_does_and_one_line_says_why(
    desk: Desk, keys: SecretKeys, complaint: str
) -> None:
    planner = person(desk, "jlarch", right("jlarch"))

    assert fetch(desk, open_rotation(desk.session, keys), planner) == ["service"]

    (line,) = desk.lines
    assert line.startswith(complaint)
    assert state(desk, planner)["fail_count"] == 0


def test_verifying_marks_who_may_sign_in(desk: Desk) -> None:
    good = person(desk, "jlarch", right("jlarch"), verified=False)
    bad = person(desk, "kalder", WRONG)
    desk.execute("UPDATE user_ws_credentials SET fail_count = 2 WHERE user_id = %s", good)
    lost = person(desk, "mbirch", right("mbirch"))
    token = SecretKeys.parse(NEW).encrypt("x")
    desk.execute("UPDATE user_ws_credentials SET encrypted_password = %s WHERE user_id = %s", token, lost)

    results = {line["user"]: line["result"] for line in verify_accounts(desk.session, KEYS)}

    assert results["jlarch"] == "valid"
    assert results["kalder"].startswith("refused")
    assert results["mbirch"].startswith("no key of CIRCUIT_SYNC_SECRET_KEY")
    row = state(desk, good)
    assert (row["is_valid"], row["fail_count"], row["verified_at"]) == (True, 0, desk.clock())
    row = state(desk, bad)
    assert (row["is_valid"], row["failed_at"]) == (False, desk.clock())
    assert len(asked(desk)) == 2


def test_an_account_that_may_not_see_units_is_told_and_not_blamed(desk: Desk) -> None:
    user = person(desk, "jlarch", right("jlarch"), verified=False)
    person(desk, "kalder", right("kalder"))
    before = state(desk, user)
    desk.simulator.fault("status", code=403, times=1, match="0000-0000")

    results = {line["user"]: line["result"] for line in verify_accounts(desk.session, KEYS)}

    assert results["jlarch"] == "refused: the account may not see planned units; check its rights in WorkStudio"
    assert results["kalder"] == "valid"
    assert state(desk, user) == before


def test_a_server_that_is_down_says_nothing_of_a_credential(desk: Desk) -> None:
    user = person(desk, "jlarch", right("jlarch"))
    before = state(desk, user)
    desk.simulator.fault("status", code=503)

    with pytest.raises(ServerUnreachable):
        verify_accounts(desk.session, KEYS)

    assert state(desk, user) == before


def test_verifying_asks_only_the_workstudio_that_fills_the_database(desk: Desk) -> None:
    person(desk, "jlarch", right("jlarch"))
    desk.execute("INSERT INTO database_settings VALUES ('workstudio', 'https://other/')")

    with pytest.raises(UsageError, match="filled by https://other/"):
        verify_accounts(desk.session, KEYS)

    assert desk.simulator.calls == []


def test_verifying_nobody_is_told(desk: Desk) -> None:
    person(desk, "jlarch")
    with pytest.raises(UsageError, match="no account is stored for anybody"):
        verify_accounts(desk.session, KEYS)
    with pytest.raises(UsageError, match="no account is stored for every user named"):
        verify_accounts(desk.session, KEYS, ["jlarch"])


def test_a_new_password_must_be_verified_anew(desk: Desk) -> None:
    user = person(desk, "jlarch", WRONG)
    desk.execute("UPDATE user_ws_credentials SET fail_count = 2, failed_at = now(), verified_at = now()")

    store_account(desk.session, KEYS, account_holder(desk.session, "jlarch", "CONTRACTOR\\other"), "new")

    row = state(desk, user)
    assert (row["is_valid"], row["fail_count"], row["failed_at"], row["verified_at"]) == (False, 0, None, None)
    (line,) = list_accounts(desk.session, KEYS)
    assert (line["WorkStudio user"], line["state"]) == ("CONTRACTOR\\other", "not verified yet")
    assert list_accounts(desk.session, SecretKeys())[0]["WorkStudio user"] == "(no key)"
    assert list_accounts(desk.session, SecretKeys.parse(NEW))[0]["WorkStudio user"] == "(no key fits)"


def test_rotating_puts_every_account_under_the_first_key(desk: Desk) -> None:
    user = person(desk, "jlarch", right("jlarch"))

    assert rotate_accounts(desk.session, SecretKeys.parse(f"{NEW}, {OLD}")) == 1

    row, only_new = state(desk, user), SecretKeys.parse(NEW)
    assert only_new.decrypt(row["encrypted_username"]) == "CONTRACTOR\\jlarch"
    assert only_new.decrypt(row["encrypted_password"]) == right("jlarch")
    assert row["is_valid"]


def test_rotating_without_the_old_key_changes_nothing_and_names_whose_it_is(desk: Desk) -> None:
    person(desk, "mbirch", right("mbirch"))
    person(desk, "jlarch", right("jlarch"))
    desk.execute(
        "UPDATE user_ws_credentials SET encrypted_password = %s WHERE id = 2", SecretKeys.parse(NEW).encrypt("x")
    )
    before = desk.contents(("user_ws_credentials",))

    with pytest.raises(CannotDecrypt, match=r"the account of jlarch@example.com.*nothing was changed"):
        rotate_accounts(desk.session, KEYS)

    assert desk.contents(("user_ws_credentials",)) == before


@pytest.mark.parametrize("password", ["", "tab\there", "nul\0here"])
def test_a_password_that_cannot_be_one_is_refused_unquoted(desk: Desk, password: str) -> None:
    user = person(desk, "jlarch")
    assert user

    with pytest.raises(UsageError, match="nothing was stored") as raised:
        store_account(desk.session, KEYS, account_holder(desk.session, "jlarch"), password)

    assert "here" not in str(raised.value)


def test_an_account_needs_a_name_that_can_sign_in(desk: Desk) -> None:
    add_user(desk.session, NewUser("Ann", "ann@example.com"))
    for name, complaint in ((None, "--ws-username"), ("A\\b:c", "no colon"), ("ann", "looks like CONTRACTOR")):
        with pytest.raises(UsageError, match=complaint):
            account_holder(desk.session, "Ann", name)


@pytest.mark.parametrize("malformed", ["nonsense", "A" * 43, "schlüssel"])
def test_a_malformed_key_is_told_by_its_place_with_a_way_to_make_one(malformed: str) -> None:
    with pytest.raises(UsageError) as raised:
        SecretKeys.parse(f"{OLD}, {malformed}")

    assert "CIRCUIT_SYNC_SECRET_KEY: key 2 of 2 is not a Fernet key" in str(raised.value)
    assert "Fernet.generate_key()" in str(raised.value)
    assert malformed not in str(raised.value)
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__


def test_secrets_are_in_no_repr_no_pickle_and_not_in_clear_in_the_database(desk: Desk) -> None:
    person(desk, "jlarch", right("jlarch"))
    rotation = open_rotation(desk.session, KEYS)
    fetch(desk, rotation)
    (held,) = rotation._accounts

    shown = f"{KEYS!r} {rotation!r} {held!r} {vars(rotation)!r} {desk.rows('SELECT * FROM user_ws_credentials')}"

    assert OLD not in shown
    assert right("jlarch") not in shown
    for secret in (KEYS, held):
        with pytest.raises(TypeError, match="never pickled"):
            pickle.dumps(secret)
