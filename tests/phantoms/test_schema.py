"""Strict reading of TOML: what is not as asked for is refused by file, entry and remedy."""

import os
import re

import pytest

from phantoms.errors import InputError
from phantoms.schema import parse_table, read_table


def refused(message, action):
    with pytest.raises(InputError, match=message) as caught:
        action()
    return caught.value


def test_a_file_that_cannot_be_read(tmp_path):
    path = tmp_path / "x.toml"
    error = refused("the x cannot be read: No such file", lambda: read_table(path, "the x", "or y"))
    assert (error.source, error.remedy) == (str(path), "or y")
    path.write_bytes(b"title = '\xff'")
    refused("is not valid TOML: not UTF-8", lambda: read_table(path))
    path.write_text("title = 3 3")
    refused(r"x\.toml: is not valid TOML: .*line 1, column", lambda: read_table(path))


def test_what_is_left_over_or_missing_is_named_with_what_it_may_have_meant(tmp_path):
    table = parse_table(tmp_path / "x.toml", "title = 'a'\ndensty = 1.0\n[part]\nqqq = 1\n")
    assert table.text("title") == "a"
    refused(r"x\.toml: density: is missing \(is 'densty' meant for it\?\)", lambda: table.number("density"))
    assert table.number("density", default=2.0) == 2.0
    refused(r"densty: is unknown \(did you mean 'density'\?\)", table.finish)
    part = table.table("part")
    assert part.flag("on", default=True)
    refused(r"part\.qqq: is unknown \(known: on\)", part.finish)


def test_expected_keys(tmp_path):
    table = parse_table(tmp_path / "x.toml", "densty = 1.0\nqqq = 1\n")
    refused(r"densty: is unknown \(did you mean 'density'", lambda: table.expect("name density", "title"))
    refused(r"name, title: are missing \(densty, qqq: unknown here\)", lambda: table.expect("name title"))
    refused(r"qqq: is unknown \(known: densty, title\)", lambda: table.expect("densty", "title"))
    table.expect("densty", "qqq title")
    with pytest.raises(KeyError, match="density is asked for"):
        table.number("density")
    both = parse_table(tmp_path / "x.toml", "Denisty = 1.0\ntitel = 1\n")
    question = r"Denisty, titel: are unknown \(did you mean 'density' and 'title'"
    refused(question, lambda: both.expect("title density name"))


def test_a_file_of_another_kind(tmp_path):
    table = parse_table(tmp_path / "x.toml", "sad_cm = 100.0\nname = 'a'\n")
    refused("x.toml: is a machine file, not a profile", lambda: table.expect("", "title", kind="profile"))
    table.expect("sad_cm name", kind="machine file")


def test_the_users_own_keys_are_asked_for_one_by_one(tmp_path):
    table = parse_table(tmp_path / "x.toml", "H = 0.1\nO = 0.9\n[rest]\n")
    assert list(table) == ["H", "O", "rest"] and table.is_table("rest") and not table.is_table("H")
    assert [table.number(key) for key in ("H", "O")] == [0.1, 0.9]
    refused("rest: is unknown", table.finish)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("'1'", "must be a finite number, found '1' (in g/cm3)"),
        ("true", "must be a finite number, found True (in g/cm3)"),
        ("nan", "must be a finite number, found nan (in g/cm3)"),
        ("0", "must be greater than 0, found 0 (in g/cm3)"),
    ],
)
def test_numbers(tmp_path, value, message):
    table = parse_table(tmp_path / "x.toml", f"density = {value}")
    refused(re.escape(message), lambda: table.number("density", above=0.0, remedy="in g/cm3"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a = " + "[" * 20_000 + "]" * 20_000, "deep in each other"),
        ("a = " + "{b = " * 20 + "1" + "}" * 20, "deep in each other"),
        (".".join("a" * 30) + " = 1", "deep in each other"),
        ("a = " + "9" * 5000, "is not valid TOML"),
        ("a = " + "9" * 400, "a is a number beyond all reason|a: is a number beyond all reason"),
        ("# " + "x" * 4_000_001, "too many for a TOML file"),
    ],
)
def test_what_nobody_writes_by_hand(tmp_path, text, words):
    path = tmp_path / "a.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=words):
        read_table(path).number("a")


def test_a_pipe_is_refused(tmp_path):
    os.mkfifo(tmp_path / "a.toml")
    with pytest.raises(InputError, match="is a pipe or device"):
        read_table(tmp_path / "a.toml")
