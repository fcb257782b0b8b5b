"""Seasons as leads see them: the burn-up picture, the report's section, targets and how they stand."""

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from itertools import combinations
from typing import Any

import pytest
from matplotlib.figure import Figure

from circuit_sync.domain.errors import UsageError
from circuit_sync.domain.progress import added
from circuit_sync.domain.seasons import burn_ups, season_line
from circuit_sync.sync.progress.pictures import as_svg, burn_up_figure
from circuit_sync.sync.progress.report import report_page, week_progress
from circuit_sync.sync.progress.targets import remove_target, set_target, targets
from circuit_sync_tests.scenery import Desk
from circuit_sync_tests.sync.snapshot_shelf import Shelf

NOW = date(2026, 11, 27)
TARGET = date(2026, 12, 31)


def season(region: str = "Lehigh", year: int | None = 2026, **values: Any) -> dict[str, Any]:
    """A row of ``season_progress``: 60 of 100 miles are planned, five a week."""
    return {
        "region": region,
        "season": year,
        "snapshot_date": NOW,
        "circuits": 3,
        "circuits_closed": 1,
        "circuits_departed": 0,
        "total_miles": Decimal(100),
        "miles_planned": Decimal(60),
        "miles_remaining": Decimal(40),
        "miles_closed_unplanned": Decimal(0),
        "finish_on": TARGET,
        "miles_per_week": Decimal(5),
        "needed_miles_per_week": Decimal("8.24"),
        "projected_end": NOW + timedelta(weeks=8),
        "is_overdue": False,
    } | values


def course(row: dict[str, Any], days: int = 200) -> list[dict[str, Any]]:
    """Its miles, day by day."""
    return [
        row | {"snapshot_date": NOW - timedelta(days=ago), "miles_planned": row["miles_planned"] * (days - ago) / days}
        for ago in range(days)
    ]


def test_a_season_leads_from_its_last_date_to_where_its_pace_ends_it() -> None:
    (shown,) = burn_ups([season()], course(season()), 12)
    assert shown.projection == ((NOW, 60), (NOW + timedelta(weeks=8), 100))
    assert (shown.course.dates[-1], shown.course.planned[-1]) == (NOW, 60)
    assert len(shown.course.dates) <= 31, "a point a week"
    assert (shown.target, shown.verdict) == (TARGET, "22 days late")
    assert {TARGET, NOW, NOW + timedelta(weeks=8)} <= set(shown.dates)


@pytest.mark.parametrize(
    ("values", "projection"),
    [
        ({"projected_end": None}, ()),
        ({"miles_remaining": Decimal(0), "projected_end": NOW}, ()),
        (
            {"projected_end": NOW + timedelta(days=3660)},
            ((NOW, 60), (NOW + timedelta(days=731), pytest.approx(60 + 40 * 731 / 3660))),
        ),
    ],
    ids=["no pace", "done", "ten years"],
)
def test_a_projection_is_left_out_or_cut_after_two_years(values: dict[str, Any], projection: Any) -> None:
    (shown,) = burn_ups([season(**values)], [], 12)
    assert shown.projection == projection
    assert shown.course.dates == (NOW,)


@pytest.mark.parametrize(
    ("target", "shown"), [(NOW - timedelta(days=30), True), (date(2020, 1, 1), False), (date(2030, 1, 1), False)]
)
def test_a_target_far_from_what_is_shown_does_not_press_it_together(target: date, shown: bool) -> None:
    (one,) = burn_ups([season(finish_on=target)], course(season()), 12)
    assert one.target == (target if shown else None)


def test_the_seasons_with_the_most_miles_left_are_shown_the_latest_first() -> None:
    rows = [season(f"R{left}", 2020 + left % 3, miles_remaining=Decimal(left)) for left in range(20)]
    shown = [one.course.region for one in burn_ups(rows, [], 4)]
    assert shown == ["2022, R17", "2021, R16", "2021, R19", "2020, R18"]
    assert burn_ups([season(year=None)], [], 4)[0].course.region == "unknown, Lehigh"


def panels(figure: Figure) -> list[set[str]]:
    return [{str(line.get_label()) for line in panel.get_lines()} for panel in figure.axes if panel.axison]


def test_a_burn_up_shows_total_plan_target_and_projection() -> None:
    figure = burn_up_figure([season(), season("Central", finish_on=None)], course(season()))
    figure.draw_without_rendering()
    always = {"miles in all", "miles planned", "at this pace"}
    central, lehigh = panels(figure)
    assert lehigh == always | {"target"}
    assert central >= always
    assert "target" not in central
    (legend,) = figure.legends
    assert {text.get_text() for text in legend.get_texts()} == always | {"target"}


MANY = [season(f"A region with a very long name {number}", 2020 + number % 2) for number in range(14)]


@pytest.mark.parametrize("rows", [MANY[:1], MANY[:2], MANY[:5], MANY], ids=["1", "2", "5", "14"])
def test_nothing_of_a_burn_up_is_cut_or_covered(rows: Sequence[dict[str, Any]]) -> None:
    figure = burn_up_figure(rows, [line for row in rows for line in course(row)])
    figure.draw_without_rendering()
    whole = figure.get_tightbbox()
    width, height = figure.get_size_inches()
    assert min(whole.x0, whole.y0, width - whole.x1, height - whole.y1) >= 0.05, "inches to the edge"
    boxes = [panel.get_tightbbox() for panel in figure.axes if panel.axison]
    boxes += [legend.get_window_extent() for legend in figure.legends]
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))


def test_no_season_is_a_picture_that_says_so() -> None:
    assert b"no snapshot" in as_svg(burn_up_figure([], []))


def test_a_line_tells_a_lead_how_a_season_stands() -> None:
    told = season_line(season(year=None))
    assert (told["season"], told["closed"], told["percent"], told["target"]) == ("unknown", 1, 60.0, TARGET)
    assert (told["needed a week"], told["stands"]) == (Decimal("8.24"), "22 days late")


def test_miles_of_seasons_are_added_and_nothing_adds_up_to_none_of_them() -> None:
    assert added([season(), season("Central")])["circuits_closed"] == 2
    assert "circuits_closed" not in added([])


@pytest.fixture
def shelf(desk: Desk) -> Shelf:
    """A week whose last date knows two seasons of Lehigh."""
    shelf = Shelf(desk)
    shelf.put("1", NOW, 60, units_pending=5, units_pending_over_14_days=2, oldest_pending_on=date(2026, 10, 1))
    shelf.put("2", NOW, 10, region="Central", units_pending=1, oldest_pending_on=date(2026, 9, 15))
    shelf.roll_up(NOW)
    for ago, planned in ((28, 40), (0, 60)):
        for year in (2025, 2026):
            desk.execute(
                "INSERT INTO season_daily (snapshot_date, region_id, season, circuits, circuits_closed, total_miles,"
                " miles_planned, miles_remaining) VALUES (%s, %s, %s, 3, 1, 100, %s, %s)",
                *(NOW - timedelta(days=ago), shelf.region("Lehigh"), year, planned, 100 - planned),
            )
    return shelf


def test_the_report_has_seasons_with_their_burn_up_and_permissions_that_wait(shelf: Shelf) -> None:
    set_target(shelf.desk.session, 2026, TARGET, "lehigh")
    page = report_page(week_progress(shelf.desk.session, NOW))
    assert "<h2>By season</h2>" in page
    assert page.count("<svg") == 2 + ("no units approved" not in page)
    for told in ("8.2", "31 Dec 2026", "22 Jan 2027", "22 days late", "no target", "at this pace"):
        assert told in page
    assert "6</b><span>units pending, 2 over 14 days; 0 refused" in page
    assert "1 Oct 2026" in page
    assert page.count("15 Sep 2026") == 3, "of the region, of all regions, of the planner of both"


def test_a_report_of_dates_without_seasons_has_no_section_of_them(shelf: Shelf) -> None:
    shelf.desk.execute("TRUNCATE season_daily")
    page = report_page(week_progress(shelf.desk.session, NOW))
    assert "By season" not in page


def test_targets_are_set_moved_listed_and_removed(shelf: Shelf) -> None:
    session = shelf.desk.session
    assert targets(session) == []
    set_target(session, 2026, date(2026, 11, 30))
    set_target(session, 2026, TARGET)
    assert set_target(session, 2025, NOW, "LEHIGH") == "Lehigh"
    set_target(session, 2030, date(2030, 1, 1))
    listed = {(line["season"], line["target_of"]): line for line in targets(session)}
    assert set(listed) == {("2030", "every region"), ("2026", "every region"), ("2025", "Lehigh")}
    whole = listed["2026", "every region"]
    assert (whole["region"], whole["finish_on"], whole["as_of"]) == ("Lehigh", TARGET, NOW)
    assert (whole["percent"], whole["a_week"], whole["needed"]) == (60, 5, Decimal("8.24"))
    assert (whole["projected_end"], whole["stands"]) == (NOW + timedelta(weeks=8), "22 days late")
    assert listed["2030", "every region"]["stands"] == "not under way"
    remove_target(session, 2026)
    assert {line["season"] for line in targets(session)} == {"2030", "2025"}


def test_a_regions_own_target_is_listed_instead_of_every_regions(shelf: Shelf) -> None:
    session = shelf.desk.session
    set_target(session, 2026, TARGET)
    set_target(session, 2026, NOW, "Lehigh")
    listed = [(line["target_of"], line["region"], line["finish_on"]) for line in targets(session)]
    assert listed == [("every region", None, TARGET), ("Lehigh", "Lehigh", NOW)]


@pytest.mark.parametrize(
    ("year", "finish_on", "region", "told"),
    [
        (26, TARGET, None, "26 is not a season"),
        (2009, TARGET, None, "2009 is not a season"),
        (2026, date(2025, 12, 31), None, "allowed are 2026-01-01 to 2036-12-31"),
        (2026, date(2206, 12, 31), None, "cannot be finished on 2206-12-31"),
        (2026, TARGET, "Lehihg", "unknown region 'Lehihg': known are"),
    ],
)
def test_what_can_be_no_target_is_told_in_one_line(
    shelf: Shelf, year: int, finish_on: date, region: str | None, told: str
) -> None:
    with pytest.raises(UsageError, match=told) as refused:
        set_target(shelf.desk.session, year, finish_on, region)
    assert "\n" not in str(refused.value)
    assert targets(shelf.desk.session) == []


def test_a_target_that_is_not_there_cannot_be_removed(shelf: Shelf) -> None:
    set_target(shelf.desk.session, 2026, TARGET, "Lehigh")
    with pytest.raises(UsageError, match="season 2026 of every region without a target of its own has no target"):
        remove_target(shelf.desk.session, 2026)
