"""What the simulator makes up: names of lines, planners and landowners. None of them exists."""

import csv
import random
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TypeVar

T = TypeVar("T")

SERVICE_USERNAME = "CONTRACTOR\\service"
SERVICE_PASSWORD = "simulator-service"  # noqa: S105 - the password of an invented server on the loopback interface
FREE_TEXT_MARKER = "LANDOWNER-SECRET"
"""Stands in every note and parcel comment of a unit: a test can search what was stored or logged for it."""
COMMENT_MARKER = "COMMENT-SECRET"
"""Stands in every circuit comment: stored with the circuit, but never in events, logs, metadata or errors."""

REGIONS = ("Lancaster", "Lehigh", "Harrisburg", "Susquehanna")
UNKNOWN_UNIT_TYPE = "XPOLE"
PLANNERS = {
    "jlarch": "Jo Larch",
    "mbirch": "Max Birch",
    "kalder": "Kit Alder",
    "tmaple": "Toni Maple",
    "rsumac": "Robin Sumac",
    "dwillow": "Dale Willow",
    "shemlock": "Sam Hemlock",
    "pcedar": "Pat Cedar",
}
_LINE_FIRST = (
    "LANTERN",
    "QUARREL",
    "THISTLE",
    "COPPER",
    "HARROW",
    "MARBLE",
    "CAFÉ",
    "PEPPER",
    "SADDLE",
    "WICKER",
    "ANVIL",
    "BRAMBLE",
)
_LINE_SECOND = ("CREEK", "HOLLOW", "RIDGE", "CROSSING", "MEADOW", "FURNACE", "QUARRY", "ORCHARD")
_LANDOWNER_FIRST = ("Ada", "Bo", "Cleo", "Dot", "Eli", "Flo", "Gus", "Hal")
_LANDOWNER_LAST = ("Fieldmouse", "Hayrick", "Milkchurn", "Oatcake", "Plumtree", "Woodpile")
_REMARKS = ("gate is locked", "call first", "dog in the yard", "wants the logs left", "ask about the orchard")


@dataclass(frozen=True)
class UnitType:
    """A line of ``unit_types.csv``: ``measurement`` is linear_ft, acres, tree_count or none."""

    code: str
    name: str
    measurement: str


@cache
def unit_types() -> tuple[UnitType, ...]:
    """The unit types that the project ships, in the order of their file."""
    text = resources.files("circuit_sync.domain").joinpath("unit_types.csv").read_text(encoding="utf-8")
    return tuple(UnitType(row["code"], row["name"], row["measurement"]) for row in csv.DictReader(text.splitlines()))


def stream(*parts: object) -> random.Random:
    """Random numbers that are the same for the same parts, on every machine and Python."""
    return random.Random("/".join(map(str, parts)))  # noqa: S311 - an invented world, nothing secret


def default_accounts() -> dict[str, str]:
    """The service account, and each planner with a password of his own (``jlarch-simulator`` and so on)."""
    planners = {f"CONTRACTOR\\{name}": f"{name}-simulator" for name in PLANNERS}
    return {SERVICE_USERNAME: SERVICE_PASSWORD, **planners}


def line_name(rng: random.Random) -> str:
    """The title of a line, such as ``THISTLE RIDGE 69/12 KV 04-02 LINE``."""
    place = f"{rng.choice(_LINE_FIRST)} {rng.choice(_LINE_SECOND)}"
    return f"{place} 69/12 KV {rng.randint(1, 40):02d}-{rng.randint(1, 4):02d} LINE"


def landowner_note(rng: random.Random) -> str:
    """Free text about a landowner, with a name and a telephone number that nobody has."""
    owner = f"{rng.choice(_LANDOWNER_FIRST)} {rng.choice(_LANDOWNER_LAST)}"
    return f"{FREE_TEXT_MARKER} {owner}, 555-01{rng.randint(0, 99):02d}: {rng.choice(_REMARKS)}"


def circuit_comment(rng: random.Random) -> str:
    """Free text about a circuit."""
    return f"{COMMENT_MARKER} {rng.choice(_REMARKS)}, station {rng.randint(10, 900)}"


def choose(rng: random.Random, weights: Mapping[T, float]) -> T:
    """One of the keys, each as likely as its weight says."""
    return rng.choices(tuple(weights), tuple(weights.values()))[0]
