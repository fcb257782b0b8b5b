"""The bundled WorkStudio splits work orders as a real one does (docs/workstudio.md, *Splits*), from call to call."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import pairwise
from typing import Any

import pytest

from circuit_sync.domain.statuses import STATUS_CODES
from circuit_sync.simulator import DEFAULT_CIRCUITS, DEFAULT_SEED, World
from circuit_sync.simulator.circuits import Circuit, Measures, added_up, circuit_row
from circuit_sync.simulator.founding import SPLIT_EXTENSIONS, found_circuits
from circuit_sync.simulator.planned_units import unit_rows
from circuit_sync.simulator.ticks import open_work_orders, tick

AT = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
SEEDS = (DEFAULT_SEED, 1)
TICKS = 40
A_TENTH = 0.1 + 1e-9
FEET_OF_A_UNIT = 61.9306779208413
Row = dict[str, Any]


def rows_of(answer: Any) -> list[Row]:
    table = answer["DataSet"]
    return [dict(zip(table["Heading"], row, strict=True)) for row in table["Data"]]


@dataclass(frozen=True)
class Listed:
    """A circuit as its row shows it."""

    status: str
    shown: Measures


def listed(row: Row) -> Listed:
    return Listed(
        row["WSREQ_STATUS"],
        Measures(
            float(row["VEGJOB_LENGTH"]),
            float(row["VEGJOB_LENGTHCOMP"] or 0),
            row["VEGJOB_PROJACRES"] or 0.0,
            round(row["UNITCOUNTS_LENGTHWRK"] / FEET_OF_A_UNIT),
            row["UNITCOUNTS_NUMTREES"],
        ),
    )


@dataclass(frozen=True)
class WorkOrder:
    """A work order as the rows of all statuses show it; ``main`` is None if it is not listed."""

    main: Listed | None
    splits: dict[str, Listed]

    @property
    def together(self) -> Measures:
        """Its splits, added up."""
        return added_up(split.shown for split in self.splits.values())

    @property
    def own_miles(self) -> float:
        """What the main one shows beyond its splits; below zero if they show more."""
        return round(self.main.shown.total_miles - self.together.total_miles, 2) if self.main else 0.0

    @property
    def contained(self) -> bool:
        """By the test of miles: splits exceed their main one by no more than a tenth, or no more than a mile."""
        return self.main is not None and -self.own_miles <= max(self.main.shown.total_miles / 10, 1)


View = dict[str, WorkOrder]


def view_of(world: World) -> View:
    work_orders: dict[str, dict[str, Listed]] = {}
    for code in STATUS_CODES:
        for row in rows_of(world.circuits_answer(code)):
            work_orders.setdefault(row["SS_WO"], {})[row["SS_EXT"] or "@"] = listed(row)
    return {name: WorkOrder(circuits.pop("@", None), circuits) for name, circuits in work_orders.items()}


@cache
def course(seed: int) -> tuple[View, ...]:
    """The default world before its first call and after each of the following."""
    world = World(seed)
    views = [view_of(world)]
    for number in range(TICKS):
        world.circuits_answer("ACTIV", AT + timedelta(hours=number))
        views.append(view_of(world))
    return tuple(views)


def steps(seed: int) -> Iterator[tuple[WorkOrder, ...]]:
    """Each work order before a call and after it, of every call."""
    for before, now in pairwise(course(seed)):
        yield from ((before[name], now[name]) for name in before)


# --- a main assessment shows the whole ------------------------------------------------------------------


def play(seed: int) -> Iterator[dict[str, list[Circuit]]]:
    """Circuits by work order, before the first tick and after each."""
    circuits = found_circuits(seed, DEFAULT_CIRCUITS)
    most_open = open_work_orders(circuits)
    for number in range(TICKS):
        yield by_work_order(circuits)
        tick(circuits, seed, number, AT + timedelta(hours=number), most_open=most_open, founded=DEFAULT_CIRCUITS)
    yield by_work_order(circuits)


def by_work_order(circuits: Sequence[Circuit]) -> dict[str, list[Circuit]]:
    found: dict[str, list[Circuit]] = {}
    for circuit in circuits:
        found.setdefault(circuit.work_order, []).append(circuit)
    return found


@pytest.mark.parametrize("seed", SEEDS)
def test_at_every_tick_a_main_one_shows_its_own_and_its_splits_within_a_tenth(seed: int) -> None:
    before: dict[str, Measures] = {}
    checked = 0
    for work_orders in play(seed):
        now = {c.guid: listed(circuit_row(c)).shown for circuits in work_orders.values() for c in circuits}
        for main, *splits in work_orders.values():
            if main.splits is None or not main.splits.shape.contained:
                continue
            follows = before if main.splits.shape.late else now
            whole = added_up((main.own, *(follows.get(split.guid, now[split.guid]) for split in splits)))
            assert now[main.guid][:2] == pytest.approx(whole[:2], abs=A_TENTH)
            assert now[main.guid][2:] == whole[2:]
            checked += 1
        before = now
    assert checked > TICKS * 20


def test_what_a_main_one_shows_is_what_its_units_are() -> None:
    *_, work_orders = play(0)
    for main, *splits in work_orders.values():
        held = [{unit["SSUNITS_OBJECTID"] for unit in unit_rows(c)} for c in (main, *splits)]
        counts = [listed(circuit_row(c)).shown.units for c in (main, *splits)]
        of_splits = set().union(*held[1:])
        assert counts[1:] == [len(units) for units in held[1:]]
        assert main.own.units == len(held[0] - of_splits)


@pytest.mark.parametrize("seed", SEEDS)
def test_splits_appear_in_the_middle_of_a_life_and_the_main_one_goes_on_showing_the_whole(seed: int) -> None:
    first, later = 0, 0
    for before, now in steps(seed):
        if before.splits.keys() == now.splits.keys():
            continue
        assert before.main
        assert now.main
        assert before.splits.keys() < now.splits.keys()
        assert (now.main.shown.total_miles, now.main.shown.acres) == (
            before.main.shown.total_miles,
            before.main.shown.acres,
        )
        for measure in ("miles_planned", "units", "trees"):
            assert getattr(now.main.shown, measure) >= getattr(before.main.shown, measure)
        assert now.contained
        first += not before.splits
        later += bool(before.splits)
    assert first + later >= TICKS // 12
    assert first


def test_a_split_takes_over_the_units_on_its_stretch() -> None:
    world = World(1)

    def holders() -> dict[str, tuple[str, str]]:
        units = (row for work_order in world.work_orders for row in rows_of(world.units_answer(work_order)))
        return {row["SSUNITS_OBJECTID"]: (row["SS_WO"], row["SS_EXT"]) for row in units}

    before, view = holders(), view_of(world)
    for number in range(TICKS):
        world.circuits_answer("ACTIV", AT + timedelta(hours=number))
    after = holders()
    moved = [(before[one], after[one]) for one in before if before[one] != after[one]]
    assert moved
    for (work_order, old), (same, new) in moved:
        assert (same, old) == (work_order, "@")
        assert new not in view[work_order].splits


# --- what real work orders do, the default world does ---------------------------------------------------


def ever(seed: int, situation: Callable[[WorkOrder], Any]) -> int:
    """How many work orders are in this situation before some call or after it."""
    views = course(seed)
    return len({name for view in views for name, work_order in view.items() if situation(work_order)})


def split_with_main(work_order: WorkOrder) -> bool:
    return bool(work_order.main and work_order.splits)


SITUATIONS: dict[str, Callable[[WorkOrder], Any]] = {
    "a main one with miles of its own": lambda w: split_with_main(w) and w.own_miles > 1,
    "a main one that is the sum of its splits": lambda w: split_with_main(w) and w.own_miles == 0,
    "a main one a tenth below": lambda w: split_with_main(w) and 0 < -w.own_miles <= A_TENTH,
    "a split in another status than its main one": lambda w: (
        split_with_main(w) and any(split.status != w.main.status for split in w.splits.values())
    ),
    "a closed split of a main one in work": lambda w: (
        split_with_main(w) and w.main.status == "ACTIV" and any(split.status == "CLOSE" for split in w.splits.values())
    ),
    "splits without a main one": lambda w: w.main is None,
    "a split with nothing planned": lambda w: any(not split.shown.miles_planned for split in w.splits.values()),
    "all planned but not all listed in one status": lambda w: (
        split_with_main(w) and w.main.shown.percent == 100 and len({split.status for split in w.splits.values()}) > 1
    ),
    "splits that are not contained": lambda w: split_with_main(w) and not w.contained,
}


@pytest.mark.parametrize("situation", SITUATIONS)
@pytest.mark.parametrize("seed", SEEDS)
def test_the_default_world_has_work_orders_of_each_situation(situation: str, seed: int) -> None:
    assert ever(seed, SITUATIONS[situation])


@pytest.mark.parametrize("seed", SEEDS)
def test_few_work_orders_are_not_contained_and_several_are_split(seed: int) -> None:
    for view in course(seed):
        split = [work_order for work_order in view.values() if split_with_main(work_order)]
        others = [work_order for work_order in split if not work_order.contained]
        assert len(split) >= 20
        assert 1 <= len(others) <= len(split) / 8


@pytest.mark.parametrize("seed", SEEDS)
def test_a_main_one_may_follow_its_splits_a_call_later(seed: int) -> None:
    late = 0
    for earlier, before, now in zip(course(seed), course(seed)[1:], course(seed)[2:], strict=False):
        for name, work_order in earlier.items():
            three = work_order, before[name], now[name]
            if not all(map(split_with_main, three)) or len({len(one.splits) for one in three}) > 1:
                continue
            splits = [one.together.miles_planned for one in three]
            main = [one.main.shown.miles_planned for one in three if one.main]
            ahead = round(splits[1] - splits[0], 2)
            if ahead > 0 and main[0] == main[1] and work_order.contained:
                late += round(main[2] - main[1], 2) >= ahead
    assert late >= 3


def test_extensions_are_those_of_the_field() -> None:
    found = {extension for view in course(DEFAULT_SEED) for w in view.values() for extension in w.splits}
    assert {"C_a", "C_b", "C_ba"} <= found <= set(SPLIT_EXTENSIONS)


# --- planned units --------------------------------------------------------------------------------------


def test_some_main_ones_repeat_their_splits_units_and_most_do_not() -> None:
    world = World()
    repeating = 0
    split = [name for name, work_order in view_of(world).items() if split_with_main(work_order)]
    for name in split:
        held: dict[bool, set[str]] = {True: set(), False: set()}
        for row in rows_of(world.units_answer(name)):
            held[row["SS_EXT"] == "@"].add(row["SSUNITS_OBJECTID"])
        shared = held[True] & held[False]
        assert shared in (set(), held[False])
        repeating += bool(shared)
    assert 3 <= repeating < len(split) / 2


def test_a_repeated_unit_says_the_same_under_both_extensions() -> None:
    world = World()
    for name in world.work_orders:
        said: dict[str, list[Row]] = {}
        for row in rows_of(world.units_answer(name)):
            said.setdefault(row["SSUNITS_OBJECTID"], []).append(row | {"SS_EXT": None})
        assert all(row == rows[0] for rows in said.values() for row in rows)


def test_pending_permissions_wait_for_days_for_weeks_or_for_nobody_knows_how_long() -> None:
    world = World()
    for number in range(8):
        world.circuits_answer("ACTIV", AT + timedelta(days=number))
    today = (AT + timedelta(days=7)).date()
    rows = [row for name in world.work_orders for row in rows_of(world.units_answer(name))]
    pending = [row["VEGUNIT_ASSDDATE"] for row in rows if row["VEGUNIT_PERMSTAT"] in ("", None, "Pending")]
    dated = [date.fromisoformat(text[6:16]) for text in pending if text and "1899" not in text]
    waited = [(today - day).days for day in dated]
    assert any(days > 14 for days in waited)
    assert any(0 <= days <= 14 for days in waited)
    assert {"", None, "/Date(1899-12-30)/"} <= set(pending)
    assert len(dated) > 0.9 * len(pending)
