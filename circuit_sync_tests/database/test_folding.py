"""One rule by which two spellings are one name: in Python and in SQL, whatever the locale."""

import unicodedata
from collections.abc import Iterator, Sequence

import psycopg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from circuit_sync.database.connection import Database
from circuit_sync.database.migrate import upgrade
from circuit_sync.domain.folding import fold
from circuit_sync_tests.database.databases import execute, made, rows

LOCALES = {
    "the embedded server's": "",
    "C": "LOCALE_PROVIDER libc LOCALE 'C'",
    "libc": "LOCALE_PROVIDER libc LOCALE 'C.utf8'",
    "Unicode": "LOCALE_PROVIDER builtin BUILTIN_LOCALE 'PG_UNICODE_FAST' LOCALE 'C'",
    "Turkish": "LOCALE_PROVIDER icu ICU_LOCALE 'tr-TR' LOCALE 'C'",
}
FOLDED_DIFFERENTLY = [
    chr(point)
    for point in range(1, 0x110000)
    if not 0xD800 <= point <= 0xDFFF and fold(chr(point)) != chr(point) and not 0xAC00 < point <= 0xD7A3
]
"""Every character that is not its own folding, Hangul but for its first syllable aside."""


@pytest.fixture(scope="module", params=LOCALES)
def database(request: pytest.FixtureRequest, postgres_server: str) -> Iterator[Database]:
    """A migrated database of the locale."""
    try:
        with made(postgres_server, LOCALES[request.param]) as made_so:
            upgrade(made_so)
            yield made_so
    except psycopg.errors.FeatureNotSupported as missing:
        pytest.skip(f"this server lacks the locale: {missing.diag.message_primary}")


def folded(database: Database, names: Sequence[str]) -> list[str]:
    with psycopg.connect(database.url) as connection:
        query = (
            "SELECT circuit_sync_fold(name) FROM unnest(%s::text[]) WITH ORDINALITY AS x (name, place) ORDER BY place"
        )
        return [name for (name,) in connection.execute(query, (list(names),))]


@pytest.mark.skipif(unicodedata.unidata_version >= "16", reason="Python knows letters that are newer than the table")
def test_every_character_folds_as_in_python(database: Database) -> None:
    assert folded(database, FOLDED_DIFFERENTLY) == [fold(character) for character in FOLDED_DIFFERENTLY]


TEXTS = st.text(
    st.one_of(
        st.characters(max_codepoint=0x7F, exclude_characters="\0"),
        st.characters(min_codepoint=0x80, max_codepoint=0x24F),
        st.characters(min_codepoint=0x300, max_codepoint=0x345),
        st.sampled_from("".join(FOLDED_DIFFERENTLY)),
        st.characters(exclude_categories=["Cs", "Cn"], exclude_characters="\0"),
    ),
    max_size=30,
)


@pytest.mark.skipif(unicodedata.unidata_version >= "16", reason="Python knows letters that are newer than the table")
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(names=st.lists(TEXTS, min_size=20, max_size=60))
@example(
    names=[
        "São José",
        "SÃO JOSÉ",
        "Sao Jose\u0301",
        "I",
        "\u0131",
        "İ",
        "i̇",
        "ß",
        "ẞ",
        "ς",
        "Σ",
        "ΐ",
        "ﬃ",
        "J̌",
        "ᾴ",
        "",
    ]
)
def test_any_text_folds_as_in_python(database: Database, names: list[str]) -> None:
    assert folded(database, names) == [fold(name) for name in names]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("São José", "SÃO JOSÉ"),
        ("São José", "Sa\u0303o Jose\u0301"),
        ("ACME\\Ilker", "acme\\ilker"),
        ("Weißenfels", "WEISSENFELS"),
        ("ΟΔΟΣ", "οδος"),
        ("ŁÓDŹ", "łódź"),
        ("\u01f0", "J\u030c"),
    ],
)
def test_spellings_that_are_one_name(one: str, other: str) -> None:
    assert fold(one) == fold(other)


@pytest.mark.parametrize(("one", "other"), [("São José", "Sao Jose"), ("acme\\\u0131lker", "acme\\ilker"), ("a", "a ")])
def test_spellings_that_are_two_names(one: str, other: str) -> None:
    assert fold(one) != fold(other)


def test_folding_again_changes_nothing() -> None:
    assert [fold(fold(character)) for character in FOLDED_DIFFERENTLY] == list(map(fold, FOLDED_DIFFERENTLY))


def test_the_longest_names_fit_into_their_index(database: Database) -> None:
    for number, character in enumerate(("\U0001d160", "\u0390", "각", "\ufb03")):
        name = character * 200
        execute(
            database,
            f"INSERT INTO regions (name, code) VALUES ('{name}', '{number}')",
            f"INSERT INTO unlinked_planners (ws_username, first_seen_at, last_seen_at) VALUES ('{name}', now(), now())",
        )


def test_a_second_spelling_is_refused_whoever_writes_it(database: Database) -> None:
    execute(database, "INSERT INTO regions (name, code) VALUES ('Weißenfels', 'W')")

    with pytest.raises(psycopg.errors.UniqueViolation):
        execute(database, "INSERT INTO regions (name, code) VALUES ('WEISSENFELS', 'WE')")


def test_a_name_is_found_by_the_index(database: Database) -> None:
    with psycopg.connect(database.url) as connection:
        connection.execute("SET enable_seqscan = off")
        query = "EXPLAIN SELECT 1 FROM regions WHERE circuit_sync_fold(name) = circuit_sync_fold('SÃO JOSÉ')"
        plan = [line for (line,) in connection.execute(query)]  # type: ignore[arg-type]

    assert any("uq_regions_name_folded" in line for line in plan)


def test_who_may_write_a_name_may_fold_it(database: Database) -> None:
    assert rows(database, "SELECT has_function_privilege('public', 'circuit_sync_fold(text)', 'EXECUTE')") == [(True,)]
