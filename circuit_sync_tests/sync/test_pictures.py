"""Pictures of any number of dates, regions and planners can be read: what their axes say and how far all reaches."""

from collections.abc import Callable, Iterable, Sequence
from datetime import date, timedelta
from decimal import Decimal
from itertools import combinations, pairwise
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

from circuit_sync.domain.eastern import weekdays_between
from circuit_sync.domain.printable import one_line
from circuit_sync.domain.progress import Lines
from circuit_sync.sync.progress.pictures import (
    as_svg,
    date_labels,
    permissions_figure,
    planners_figure,
    progress_figure,
)

NEW_YEAR = date(2026, 1, 1)
FRIDAY = date(2026, 11, 27)
EIGHT_WEEKS = weekdays_between(FRIDAY - timedelta(weeks=8), FRIDAY)
YEARS = weekdays_between(date(2023, 1, 2), FRIDAY)
DATES = {
    "one date": ([NEW_YEAR], ["1 Jan"]),
    "two": ([NEW_YEAR, NEW_YEAR + timedelta(days=1)], ["1 Jan", "2 Jan"]),
    "a week": (weekdays_between(date(2026, 11, 23), FRIDAY), ["23 Nov", "25 Nov", "27 Nov"]),
    "eight weeks": (EIGHT_WEEKS, ["2 Oct", "30 Oct", "27 Nov"]),
    "two of them far from the third": ([NEW_YEAR, NEW_YEAR + timedelta(days=1), FRIDAY], ["1 Jan", "27 Nov"]),
    "over a new year": (
        weekdays_between(date(2025, 12, 10), date(2026, 1, 20)),
        ["10 Dec\n2025", "30 Dec\n2025", "20 Jan\n2026"],
    ),
    "a date of three years": (
        [date(year, 5, 4) for year in (2024, 2025, 2026)],
        [f"4 May\n{y}" for y in (2024, 2025, 2026)],
    ),
    "years": (YEARS, ["2 Jan\n2023", "13 Dec\n2024", "27 Nov\n2026"]),
}
LONG = "CONTRACTOR\\a.very.long.name.of.a.planner.indeed"


def day(region: str, when: date, total: float = 100, planned: float = 40) -> dict[str, Any]:
    return {
        "region": region,
        "snapshot_date": when,
        "total_miles": Decimal(str(total)),
        "miles_planned": Decimal(str(planned)),
    }


def days(regions: int, dates: Sequence[date]) -> list[dict[str, Any]]:
    return [day(f"{LONG} {number}", when, 1000 * (number + 1)) for number in range(regions) for when in dates]


def units(region: str, approved: int = 0, pending: int = 0, refused: int = 0) -> dict[str, Any]:
    told = {"units_approved": approved, "units_pending": pending, "units_refused": refused}
    return {"region": region, "total_units": approved + pending + refused, **told}


def newly(planner: str, miles: float) -> dict[str, Any]:
    return {"planner": planner, "planner_key": planner.lower(), "miles_planned_change": Decimal(str(miles))}


def drawn(figure: Figure) -> Figure:
    figure.draw_without_rendering()
    return figure


def shown_dates(panel: Axes) -> list[Text]:
    return [label for label in panel.get_xticklabels() if label.get_visible() and label.get_text()]


def texts(labels: Iterable[Text]) -> list[str]:
    return [label.get_text() for label in labels]


@pytest.mark.parametrize(("dates", "labels"), DATES.values(), ids=DATES.keys())
@pytest.mark.parametrize(("regions", "columns"), [(1, 1), (2, 2), (5, 3), (14, 4)])
def test_the_dates_of_a_course_are_named_each_once_and_side_by_side(
    regions: int, columns: int, dates: list[date], labels: list[str]
) -> None:
    figure = drawn(progress_figure(days(regions, dates)))
    named = [found for panel in figure.axes if panel.axison and (found := shown_dates(panel))]
    assert [texts(found) for found in named] == [labels] * columns
    boxes = [label.get_window_extent() for found in named for label in found]
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))


@pytest.mark.parametrize("dates", [dates for dates, _ in DATES.values()], ids=DATES.keys())
def test_a_course_reaches_over_its_dates_and_hardly_further(dates: list[date]) -> None:
    (panel,) = drawn(progress_figure(days(1, dates))).axes
    begin, end = panel.get_xlim()
    epoch = date(1970, 1, 1)
    first, last = (dates[0] - epoch).days, (dates[-1] - epoch).days
    assert begin < first <= last < end
    assert end - begin <= 2 + (last - first) * 1.2


@given(st.lists(st.dates(date(2020, 1, 1), date(2030, 12, 31)), min_size=1, max_size=60))
def test_any_dates_are_named_by_first_and_last_and_no_name_comes_twice(dates: list[date]) -> None:
    labels = date_labels(dates)
    assert len(set(labels.values())) == len(labels) <= 3
    assert set(labels) <= set(dates)
    assert (min(labels), max(labels)) == (min(dates), max(dates))
    span = max(dates) - min(dates)
    assert all(4 * (later - earlier) >= span for earlier, later in pairwise(labels))


@pytest.mark.parametrize(
    ("figure_of", "lines", "words"),
    [
        (progress_figure, [], "no snapshot"),
        (permissions_figure, [], "no units approved, pending or refused"),
        (permissions_figure, [units("North"), units("South")], "no units approved, pending or refused"),
        (planners_figure, [], "no miles newly planned"),
        (planners_figure, [newly("larch", 0), newly("birch", 0)], "no miles newly planned"),
    ],
)
def test_what_is_empty_says_so_and_has_no_axis(figure_of: Callable[[Lines], Figure], lines: Lines, words: str) -> None:
    figure = drawn(figure_of(lines))
    (panel,) = figure.axes
    assert not panel.axison
    assert texts(panel.texts) == [words]
    assert figure.legends == []


@pytest.mark.parametrize("most", [1, 2, 7, 1000, 123_456])
def test_units_are_counted_from_zero_in_whole_ones(most: int) -> None:
    (panel,) = drawn(permissions_figure([units("North", approved=most), units("South")])).axes
    begin, end = panel.get_xlim()
    assert begin == 0
    assert most <= end <= most * 1.1
    ticks = [float(tick) for tick in panel.get_xticks()]
    assert all(tick.is_integer() for tick in ticks)
    assert len(ticks) == len(set(texts(panel.get_xticklabels())))


def test_a_correction_points_left() -> None:
    (panel,) = drawn(planners_figure([newly("larch", 4.25), newly("birch", -3), newly("larch", 1)])).axes
    assert texts(panel.get_yticklabels()) == ["birch", "larch"]
    assert [bar.get_width() for bar in panel.patches] == [-3, 5.25]
    begin, end = panel.get_xlim()
    assert begin < -3 < 5.25 < end


FIGURES: dict[str, tuple[Callable[[Lines], Figure], Lines]] = {
    **{f"{n} regions": (progress_figure, days(n, EIGHT_WEEKS)) for n in (1, 2, 3, 12, 14)},
    "years": (progress_figure, days(5, YEARS)),
    "huge numbers": (progress_figure, [day("North", FRIDAY, 9_999_999.99, 8_888_888.88)]),
    **{
        f"units of {n}": (permissions_figure, [units(f"{LONG} {i}", i + 1, i, i) for i in range(n)]) for n in (1, 5, 14)
    },
    **{
        f"{n} planners": (planners_figure, [newly(f"{i} {LONG}", 1234.5 * (i - 3)) for i in range(n)])
        for n in (1, 6, 30)
    },
    "nothing": (permissions_figure, []),
}


@pytest.mark.parametrize(("figure_of", "lines"), FIGURES.values(), ids=FIGURES.keys())
def test_nothing_is_cut_or_covered(figure_of: Callable[[Lines], Figure], lines: Lines) -> None:
    figure = drawn(figure_of(lines))
    whole = figure.get_tightbbox()
    width, height = figure.get_size_inches()
    assert min(whole.x0, whole.y0, width - whole.x1, height - whole.y1) >= 0.05, "inches to the edge"
    panels = [panel.get_tightbbox() for panel in figure.axes if panel.axison]
    boxes = [*panels, *(legend.get_window_extent() for legend in figure.legends)]
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))


@pytest.mark.parametrize("name", ["units of 1", "units of 14", "1 planners", "30 planners"])
def test_bars_end_within_their_axes(name: str) -> None:
    figure_of, lines = FIGURES[name]
    (panel,) = drawn(figure_of(lines)).axes
    lowest, highest = panel.get_ylim()
    for bar in panel.patches:
        assert lowest < bar.get_y() - 0.1
        assert bar.get_y() + bar.get_height() + 0.1 < highest


@pytest.mark.parametrize("name", ["Lehigh\n\x1b[31m", "a\x0bb", "\ud800", "$x^2$", "\u202eevil"])
def test_a_name_is_shown_as_plain_text_whatever_it_holds(name: str) -> None:
    (panel,) = drawn(permissions_figure([units(name, approved=1)])).axes
    assert texts(panel.get_yticklabels()) == [one_line(name)]
    (panel,) = drawn(progress_figure([day(name, NEW_YEAR)])).axes
    assert panel.get_title(loc="left") == one_line(name)
    ElementTree.fromstring(as_svg(permissions_figure([units(name, approved=1)])))
