"""Aggregates of a million planned units: against decoding their JSON, and against polars on the same frame."""

import gc
import random
import time
import uuid
from collections.abc import Callable
from typing import Any

import orjson
import pandas as pd
import polars as pl

from circuit_sync.database.migrate import read_unit_types
from circuit_sync.domain.aggregates import compute_aggregates, with_roots
from circuit_sync.simulator import units_table
from circuit_sync.workstudio.ddotable import read_table
from circuit_sync.workstudio.views import PLANNED_UNITS
from circuit_sync_tests.bench.measuring import medians
from circuit_sync_tests.bench.report import Report

BATCHES, BATCH = 4, 250_000
UNITS_PER_WORK_ORDER = 200
GEOMETRY = {
    "@sourceFormat": "DataObjectGeometry",
    "type": "LineString",
    "coordinates": [[-76.151, 39.881], [-76.152, 39.882]],
}
TEXTS = ("object_id", "work_order", "extension", "unit", "permission", "forester", "assessed")
MEASURES = {"linear_ft": ("linear_ft", 10_000), "acres": ("acres", 10_000), "trees": ("tree_count", 1)}


def bench_aggregates(report: Report) -> None:
    """A million units in four answers, one after the other: each is decoded, read, computed, and computed by polars."""
    kinds = {row["code"]: row["measurement"] for row in read_unit_types()}
    circuits = _circuits()
    rounds = []
    for seed in range(BATCHES):
        body = _body(random.Random(seed), kinds)
        decoding, answer = _timed(lambda body=body: orjson.loads(body))
        units = read_table(answer, fields=PLANNED_UNITS.fields, required=PLANNED_UNITS.required).frame
        del answer, body
        computing, (rows, _) = _timed(lambda units=units: compute_aggregates(units, circuits, kinds))
        polars, totals = _timed(lambda units=units: _by_polars(units, circuits, kinds))
        rounds.append((decoding, computing, polars))
        assert int(rows.loc[~rows["is_rollup"], "total_units"].sum()) == totals
    decoding, computing, polars = medians(rounds)
    report.line(f"{BATCH} units, 34 columns: decoding their JSON with orjson", decoding, "s")
    report.line("  computing their aggregates, rows ready to write", computing, "s")
    report.ratio("  computing / decoding", computing / decoding, at_most=1.0)
    report.ratio("  ours / polars, from the same frame to the same rows", computing / polars, at_most=3)


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    gc.collect()
    begun = time.perf_counter()
    result = work()
    return time.perf_counter() - begun, result


def _body(rng: random.Random, kinds: dict[str, str]) -> bytes:
    codes = list(kinds)
    permissions = ["Approved", "Approved", "Refused", "Pending", "", None, "No Contact"]
    rows = []
    for number in range(BATCH):
        code = rng.choice(codes)
        rows.append(
            {
                "SS_WO": f"2026-{number // UNITS_PER_WORK_ORDER:05}",
                "SS_EXT": "@" if number % 3 else "A",
                "SSUNITS_OBJECTID": "{" + str(uuid.UUID(int=rng.getrandbits(128))).upper() + "}",
                "VEGUNIT_UNIT": code,
                "VEGUNIT_PERMSTAT": rng.choice(permissions),
                "VEGUNIT_ASSDDATE": f"/Date(2026-0{rng.randint(1, 9)}-{rng.randint(10, 28)})/",
                "VEGUNIT_FORESTER": f"Forester {rng.randint(0, 30)}",
                "JOBVEGETATIONUNITS_LENGTHWRK": rng.uniform(1, 900) if kinds[code] == "linear_ft" else 0,
                "JOBVEGETATIONUNITS_ACRES": rng.uniform(0, 1) if kinds[code] == "acres" else 0,
                "JOBVEGETATIONUNITS_NUMTREES": rng.randint(1, 6) if kinds[code] == "tree_count" else 0,
                "SSUNITS_GEOMETRY": GEOMETRY,
            }
        )
    return orjson.dumps(units_table(rows))


def _circuits() -> pd.DataFrame:
    names = [(f"2026-{n:05}", extension) for n in range(BATCH // UNITS_PER_WORK_ORDER) for extension in "@A"]
    rows = [(work_order, number, extension) for number, (work_order, extension) in enumerate(names)]
    return with_roots(pd.DataFrame(rows, columns=["work_order", "circuit_id", "extension"]))


def _by_polars(units: pd.DataFrame, circuits: pd.DataFrame, kinds: dict[str, str]) -> int:
    """The same rows, as text of totals and breakdowns; returns the number of units counted."""
    columns = {name: pl.Series(name, units[name].tolist(), dtype=pl.String, strict=False) for name in TEXTS}
    columns |= {name: pl.Series(name, units[name].tolist(), dtype=pl.Float64, strict=False) for name in MEASURES}
    known = pl.DataFrame({n: circuits[n].tolist() for n in ("circuit_id", "work_order", "extension", "root_id")})
    types = pl.DataFrame({"unit": list(kinds), "kind": list(kinds.values())})
    texts = [pl.col(name).str.replace_all("\0", "", literal=True).str.strip_chars() for name in TEXTS]
    frame = (
        pl.DataFrame(columns)
        .with_columns(texts)
        .with_columns(
            pl.col("object_id").str.to_uppercase(),
            *(
                pl.col(name).replace("", empty).fill_null(empty)
                for name, empty in (
                    ("extension", "@"),
                    ("permission", "Pending"),
                    ("forester", "Unknown"),
                    ("assessed", "unknown"),
                )
            ),
        )
        .unique(["work_order", "object_id"], keep="first")
        .join(types, on="unit", how="left")
        .join(known, on=["work_order", "extension"])
        .with_columns(
            pl.when(pl.col("kind") == kind).then((pl.col(name) * scale).round().cast(pl.Int64)).otherwise(0).alias(name)
            for name, (kind, scale) in MEASURES.items()
        )
    )
    for key in ("circuit_id", "root_id"):
        sums = [pl.col(name).sum() for name in MEASURES]
        frame.group_by(key).agg(pl.len(), *sums).rows()
        for name in ("permission", "unit", "forester"):
            _documents(frame.group_by(key, name).agg(pl.len(), *sums))
        pending = frame.filter(pl.col("permission").str.to_lowercase() == "pending")
        _documents(pending.group_by(key, "assessed").agg(pl.len()))
    return frame.height


def _documents(groups: pl.DataFrame) -> dict[int, bytes]:
    documents: dict[int, dict[str, Any]] = {}
    for circuit, name, *numbers in groups.iter_rows():
        documents.setdefault(circuit, {})[name] = numbers
    return {circuit: orjson.dumps(value, option=orjson.OPT_SORT_KEYS) for circuit, value in documents.items()}
