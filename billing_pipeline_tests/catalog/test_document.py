"""YAML as text that remembers its lines: nothing is guessed, nothing passes through a float."""

import pytest

from billing_pipeline.catalog.document import Block, Items, dotted, locate, read
from billing_pipeline.core.errors import CatalogError

Reported = list[tuple[int, str]]


def read_all(text: str | bytes, *, json: bool = False) -> tuple[list[object], Reported]:
    reported: Reported = []

    def report(line: int, error: CatalogError) -> None:
        reported.append((line, str(error)))

    return read(text.encode() if isinstance(text, str) else text, report, json=json), reported


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("0.10", "0.10"),  # a float would lose the zero
        ("0.1000000000000000055511151231257827", "0.1000000000000000055511151231257827"),
        ("1e400", "1e400"),
        ("0123", "0123"),  # YAML 1.1 reads an octal number
        ("1_000", "1_000"),  # … a thousand
        ("12:30", "12:30"),  # … 750
        ("no", "no"),  # … false: Norway
        ("on", "on"),
        ("2026-01-01", "2026-01-01"),
        (".inf", ".inf"),
        ("true", True),
        ("FALSE", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("'true'", "true"),
        ('"null"', "null"),
        ("''", ""),
        ("!!str true", "true"),
        ("|\n  a\n  b", "a\nb"),
    ],
)
def test_a_scalar_stays_the_text_that_was_written(written: str, value: object) -> None:
    assert read_all(f"a: {written}") == ([{"a": value}], [])


def test_lines_are_kept_for_keys_and_items() -> None:
    (document,), _ = read_all("a:\n  - b: 1\n    c: 2\n  -\n    d\n")
    assert isinstance(document, Block)
    rows = document["a"]
    assert isinstance(rows, Items)
    assert (document.lines, rows.lines) == ({"a": 1}, [2, 5])
    assert isinstance(rows[0], Block)
    assert (rows[0].line, rows[0].lines) == (2, {"b": 2, "c": 3})


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", 3, "'a' is given twice, before on line 1. Keep one."),
        ("a: {b: 1,\n b: 2}", 2, "'b' is given twice, before on line 1. Keep one."),
        ("a: 1\nb: *x\n", 2, "*x stands for nothing. Mark what it stands for with &x before."),
        ("a: &x\n  b: *x\n", 2, "*x stands for nothing. Mark what it stands for with &x before."),  # within itself
        ("a: !!python/object:os.system ls\n", 1, "The tag 'tag:yaml.org,2002:python/object:os.system' is not allowed."),
        ("a: {unit_amount: 1,5}", 1, "'5' has no value. A decimal has a point: 1.5. For nothing, write null."),
        ("a: [\n  {size: 100, amount: 4,99}]", 2, "'99' has no value."),
        ("a: {b}", 1, "'b' has no value."),
        ("a: {'ü', c: 1}", 1, "'ü' has no value."),
        ("a: ü\nb: {c: 1, 'd' ,\n e: 2}", 2, "'d' has no value."),
        ('a: "x\\0y"', 1, "The text holds a NUL character. Remove it."),
        ("a: 1\n[b]: 2\n", 2, "A field's name must be a single word."),
        ("<<: 5\n", 1, "'<<' must name a mapping. Mark one with &name."),
        ("a:\n  - b\n  c: 1\n", 3, "Not readable as YAML: "),
        ("a: {b: 1\n", 2, "Not readable as YAML: "),
        ("a: 'b\n", 2, "Not readable as YAML: "),
        (b"a: 1\nb: \xff\n", 2, "Not readable as text: "),
        ("a: " + "[" * 60 + "]" * 60, 1, "More than 50 levels of nesting. Write it flatter."),
    ],
)
def test_what_cannot_be_read_is_reported_with_its_line(text: str | bytes, line: int, message: str) -> None:
    _, reported = read_all(text)
    assert [(line, True)] == [(at, said.startswith(message)) for at, said in reported], reported


def test_nothing_may_be_said_of_a_field_by_a_word_or_on_a_line_of_its_own() -> None:
    assert read_all("a: {b: null, c: ~, d: '', 'f': }\ne:\n") == (
        [{"a": {"b": None, "c": None, "d": "", "f": None}, "e": None}],
        [],
    )


DOUBLED = "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 40))
DEEPER = "".join(f"a{n}: &a{n} {{b: *a{n - 1}}}\n" for n in range(1, 60))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a0: &a0 [1]\n" + DOUBLED, "Aliases stand for more than 2,000,000 values. Write out fewer."),
        ("a0: &a0 {b: 1}\n" + DOUBLED.replace("[", "{x: ").replace(", ", ", y: ").replace("]", "}"), "Aliases stand"),
        ("a0: &a0 {b: 1}\n" + DOUBLED.replace("[", "{<<: [").replace("]", "]}"), "Aliases stand"),
        ("a0: &a0 [1]\n" + DEEPER, "More than 50 levels of nesting."),
        ("a: &a " + "[" * 49 + "]" * 49 + "\nb: [[*a]]\n", "More than 50 levels of nesting."),
    ],
    ids=range(5),
)
def test_what_aliases_stand_for_has_bounds(text: str, message: str) -> None:
    _, ((line, said),) = read_all(text)
    assert (said.startswith(message), line > 1) == (True, True)


def test_a_null_character_in_a_name_is_reported() -> None:
    assert read_all('a: {"b\\0": 1}')[1] == [(1, "The field's name holds a NUL character. Remove it.")]


def test_anchors_and_merges_keep_the_lines_of_what_they_stand_for() -> None:
    text = "base: &base\n  x: 1\n  y: 2\nown:\n  <<: *base\n  y: 3\nboth:\n  <<: [{y: 4}, *base]\nsame: *base\n"
    (document,), reported = read_all(text)
    assert isinstance(document, Block)
    own = document["own"]
    assert isinstance(own, Block)
    assert (own, own.lines) == ({"x": "1", "y": "3"}, {"x": 2, "y": 6})
    assert document["both"] == {"x": "1", "y": "4"}
    assert document["same"] is document["base"]
    assert reported == []


def test_a_file_may_hold_several_documents() -> None:
    assert read_all("a: 1\n---\nb: *a\n")[1] == [(3, "*a stands for nothing. Mark what it stands for with &a before.")]
    assert read_all("a: 1\n---\n---\nb: 2\n") == ([{"a": "1"}, None, {"b": "2"}], [])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_byte_order_marks_are_understood(encoding: str) -> None:
    assert read_all("a: Zürich 🎉".encode(encoding)) == ([{"a": "Zürich 🎉"}], [])


def test_json_is_read_with_its_escapes() -> None:
    text = '\ufeff{"a": "\\ud83c\\udf89 \\u00fc \\/ \\n", "b": [1, 0.10, null, true],\n\t"c": {}}'
    assert read_all(text, json=True) == ([{"a": "🎉 ü / \n", "b": ["1", "0.10", None, True], "c": {}}], [])


@pytest.mark.parametrize(
    ("path", "line", "field"),
    [
        ((), 1, ""),
        (("a",), 1, "a"),
        (("a", 0, "b"), 2, "a[0].b"),
        (("a", 0, "c"), 2, "a[0].c"),  # missing: the item's line
        (("phases", 0, "a", 1), 4, "a[1]"),  # steps that only a long form would have
        (("x", "y"), 1, "y"),
    ],
)
def test_a_path_is_located_as_deep_as_the_file_goes(path: tuple[str | int, ...], line: int, field: str) -> None:
    (document,), _ = read_all("a:\n  - b: 1\n    d: 2\n  - e\n")
    assert locate(document, path, 1) == (line, field)


def test_dotted_writes_a_path_as_people_do() -> None:
    assert dotted(("prices", 0, "price", "tiers", 1, "up_to")) == "prices[0].price.tiers[1].up_to"
