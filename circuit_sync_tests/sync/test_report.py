"""The weekly report: one page that needs nothing else, and says what the week was."""

import re
from datetime import date
from decimal import Decimal
from html.parser import HTMLParser

import pytest

from circuit_sync.domain.eastern import weekdays_between
from circuit_sync.domain.errors import UsageError
from circuit_sync.domain.progress import courses, percent, readable
from circuit_sync.sync.progress.pictures import as_png, as_svg, permissions_figure, planners_figure, progress_figure
from circuit_sync.sync.progress.report import report_page, week_progress
from circuit_sync.sync.progress.rollups import roll_up
from circuit_sync_tests.scenery import Desk
from circuit_sync_tests.sync.snapshot_shelf import PLANNER, Shelf

MON, TUE, WED, THU, FRI = weekdays_between(date(2026, 3, 2), date(2026, 3, 6))
LAST_FRIDAY = date(2026, 2, 27)
STRANGE = "North & <East> $x$"


class Cells(HTMLParser):
    """The cells of every table row of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self._inside = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
            self._inside = True

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self._inside = False

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.rows[-1][-1] += data

    def row(self, name: str, place: int = 0) -> list[str]:
        return [row for row in self.rows if row and row[0] == name][place]


@pytest.fixture
def shelf(desk: Desk) -> Shelf:
    """Two circuits over a week; the second falls back on Wednesday."""
    shelf = Shelf(desk)
    for day, planned in ((LAST_FRIDAY, 10), (MON, 12), (TUE, 12), (WED, 15.5), (FRI, 20)):
        shelf.put("1", day, planned, total_units=day.day, units_approved=day.day - 1, units_pending=1)
    for day, planned in ((LAST_FRIDAY, 50), (MON, 51), (WED, 49)):
        shelf.put("2", day, planned, region=STRANGE, taken_by="CONTRACTOR\\birch")
    shelf.roll_up(LAST_FRIDAY, MON, TUE, WED, THU, FRI)
    return shelf


def page_of(shelf: Shelf, day: date = WED) -> str:
    return report_page(week_progress(shelf.desk.session, day))


def test_the_page_tells_levels_and_differences_of_regions_and_planners(shelf: Shelf) -> None:
    cells = Cells(page_of(shelf))
    assert cells.row("Lehigh") == ["Lehigh", "1", "1", "0", "0", "0", "100.0", "20.0", " 20 %", "80.0", "+10.0"]
    assert cells.row("All regions")[6:] == ["100.0", "20.0", " 20 %", "80.0", "+9.0"]
    larch, birch = cells.row(PLANNER), cells.row("CONTRACTOR\\birch")
    assert larch[3:9] == ["+2.0", "0", "+3.5", "·", "+4.5", "+10.0"]
    assert birch[3:9] == ["+1.0", "0", "\N{MINUS SIGN}2.0", "·", "0", "\N{MINUS SIGN}1.0"]


def test_any_day_of_the_week_names_it_and_none_means_this_week(shelf: Shelf) -> None:
    session = shelf.desk.session
    fridays = [week_progress(session, day).friday for day in (MON, FRI, date(2026, 3, 8), None)]
    assert fridays == [FRI] * 4
    assert "Progress, week ending Friday, 6 March 2026" in page_of(shelf, MON)


def test_a_week_without_snapshots_is_refused_and_told_what_there_is(shelf: Shelf) -> None:
    with pytest.raises(UsageError, match="2026-03-09 to 2026-03-13: there are some from 2026-02-27 to 2026-03-06"):
        week_progress(shelf.desk.session, date(2026, 3, 10))
    shelf.desk.execute("DELETE FROM regional_daily")
    with pytest.raises(UsageError, match="there is none at all yet"):
        week_progress(shelf.desk.session, MON)


def test_an_unfinished_week_and_imported_dates_say_so(shelf: Shelf) -> None:
    assert "the week is not over" not in page_of(shelf)
    shelf.desk.execute("DELETE FROM regional_daily WHERE snapshot_date = %s", FRI)
    shelf.desk.execute("UPDATE circuit_snapshots SET is_imported = true WHERE snapshot_date = %s", TUE)
    assert "the week is not over" in page_of(shelf)
    assert "figures of 3 March were imported" in page_of(shelf)


def test_the_page_asks_nobody_for_anything(shelf: Shelf) -> None:
    page = page_of(shelf)
    assert "<script" not in page
    assert not re.search(r"(?:src|href)\s*=\s*[\"'](?!#)", page.replace("xlink:", "")), "inner references only"
    assert not re.search(r"url\((?!#)|@import|<link", page)
    assert page.count("<svg") == 2
    assert "currentColor" in page


def test_names_are_shown_as_they_are_and_never_as_markup(shelf: Shelf) -> None:
    page = page_of(shelf)
    assert "<East>" not in page
    assert "North &amp; &lt;East&gt; $x$" in page


def test_the_same_week_yields_the_same_page(shelf: Shelf) -> None:
    assert page_of(shelf) == page_of(shelf)


def test_a_user_is_told_by_name(shelf: Shelf) -> None:
    shelf.desk.execute("INSERT INTO users (name, email, ws_username) VALUES ('Jo Larch', 'jo@x.example', %s)", PLANNER)
    shelf.roll_up(FRI)
    assert Cells(page_of(shelf)).row("Jo Larch")[8] == "+10.0"


def test_a_planner_is_one_however_spelled_by_the_latest_spelling(shelf: Shelf) -> None:
    shelf.put("3", MON, 5, taken_by="Contractor\\BIRCH")
    shelf.put("3", FRI, 6.5, taken_by="Contractor\\Birch")
    shelf.put("4", TUE, 5, region="Central", taken_by="contractor\\birch")
    shelf.put("4", WED, 7, region="Central", taken_by="CONTRACTOR\\birch")
    shelf.roll_up(MON, TUE, WED, THU, FRI)
    cells = Cells(page_of(shelf))
    named = [row[0] for row in cells.rows if row and row[0].lower() == "contractor\\birch"]
    assert named == ["Contractor\\Birch"]
    assert cells.row("Contractor\\Birch")[3:9] == ["+1.0", "0", "0", "·", "+1.5", "+2.5"]


def test_linking_today_reaches_weeks_rolled_up_long_ago(shelf: Shelf) -> None:
    before = page_of(shelf)
    jo = shelf.desk.one("INSERT INTO users (name, email) VALUES ('Jo', 'jo@x.example') RETURNING id")
    for spelling in ("Contractor\\LARCH", "contractor\\BIRCH"):
        shelf.desk.execute(
            "INSERT INTO unlinked_planners (ws_username, first_seen_at, last_seen_at, linked_user_id)"
            " VALUES (%s, now(), now(), %s)",
            *(spelling, jo),
        )
    cells = Cells(page_of(shelf))
    assert PLANNER in before
    assert [row[0] for row in cells.rows if "\\" in "".join(row[:1])] == []
    assert cells.row("Jo")[3:9] == ["+3.0", "0", "+1.5", "·", "+4.5", "+9.0"], "who has two names is one"


def test_two_users_of_one_name_stay_two(shelf: Shelf) -> None:
    for email, planner in (("a@x.example", PLANNER), ("b@x.example", "CONTRACTOR\\birch")):
        shelf.desk.execute("INSERT INTO users (name, email, ws_username) VALUES ('Jo', %s, %s)", email, planner)
    weeks = week_progress(shelf.desk.session, WED).planners
    assert [(week.planner, week.totals["miles_planned_change"]) for week in weeks] == [("Jo", 10), ("Jo", -1)]
    lines = roll_up(shelf.desk.session, [WED], "planner_daily")["planner_daily"].lines[WED]
    bars = planners_figure(lines).axes[0].patches
    assert [bar.get_width() for bar in bars] == [-2, 3.5]  # type: ignore[attr-defined]


def test_a_percentage_is_own_planned_by_own_total(shelf: Shelf) -> None:
    """Of a split circuit that the main one shows too, half of whose rest is planned."""
    shelf.put("5", FRI, 60, region="Split", own_total_miles=20, own_miles_planned=10)
    shelf.put("6", FRI, 50, region="Split", total_miles=80)
    shelf.roll_up(FRI)
    assert Cells(page_of(shelf)).row("Split")[6:9] == ["100.0", "60.0", " 60 %"]
    line = roll_up(shelf.desk.session, [FRI])["regional_daily"].lines[FRI]
    assert [readable(row)["percent"] for row in line if row["region"] == "Split"] == [60.0]


def _day(region: str, day: date, total: int) -> dict[str, object]:
    return {"region": region, "snapshot_date": day, "total_miles": Decimal(total), "miles_planned": Decimal(total) / 2}


def test_the_smallest_of_many_regions_are_shown_as_one() -> None:
    days = [_day(f"R{number}", day, number) for number in range(1, 6) for day in (MON, TUE)]
    shown = courses(days, 3)
    assert [course.region for course in shown] == ["R5", "R4", "3 other regions"]
    assert shown[-1].total == (6.0, 6.0)
    assert shown[-1].planned == (3.0, 3.0)
    assert [course.region for course in courses(days, 5)] == ["R5", "R4", "R3", "R2", "R1"]


def test_nothing_is_no_per_cent_of_nothing() -> None:
    assert percent(0, 0) is None
    assert percent(Decimal(1), 4) == 25


def test_pictures_of_nothing_can_be_drawn() -> None:
    for figure in (progress_figure([]), permissions_figure([]), planners_figure([])):
        assert as_png(figure)
        assert as_svg(figure)
