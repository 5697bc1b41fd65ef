"""One vocabulary, that of EGSnrc and of the field: terms that are no longer used, and what to say instead."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
PROSE = (".md", ".cfg", ".toml", ".j2", ".yml", ".sh", ".slurm", ".pbs")
HISTORY = "CHANGELOG.md"  # of which the unreleased part alone is read


class Term(NamedTuple):
    """A term that is no longer used.

    Parameters
    ----------
    name : str
        Expression for an identifier in lower snake case with `_` around it, "" for none.
    prose : str
        Expression for words in docstrings, comments, messages and pages, "" for none.
    instead : str
    allowed : tuple of str
        Phrases of ordinary English, and other words, that the expressions would find; a space stands for any
        white space.
    exempt : str
        Expression for paths that may use the term.
    """

    name: str
    prose: str
    instead: str
    allowed: tuple[str, ...] = ()
    exempt: str = "(?!)"


TERMS = (
    Term(
        "_(freed|frees|freeing|set_free)_",
        r"set(s|ting)? (\w+ ){0,4}?free|freed|frees|freeing",
        "emit, produce; secondary electrons",
        ("mc/transport/freed",),  # in the table of old paths
    ),
    Term(
        "_(fly|flies|flying|flew|flown)_",
        "fly|flies|flying|flew|flown",
        "free flight, travel, move; path length, distance",
        ("on the fly",),
    ),
    Term(
        "_ways?_",
        "ways?",
        "path, path length, distance, direction",
        (
            "(in )?(one|another|any|the same|the other|this|that) way( round)?",
            "in (two|three|four|both) ways",
            "(by|in) the way",
            "(either|neither|which|half|under|by) way",
        ),
    ),
    Term("_budgets?_", "budgets?", "step length in K1", ("(error|uncertainty) budgets?",)),
    Term("_amid_", "amid", "mid-step"),
    Term(
        "_narrow_(?!beam_)",
        "narrow (voxel|cell)s?|(voxel|cell)s? (is|are) narrow",
        "interface or low-density voxels",
    ),
    Term("_rims?_", "rims?", "air margin; edge"),
    Term("_gates?_", "gates?", "splitting plane"),
    Term(
        "_(full|light)_(photon|particle)s?_",
        "(full|light) (charged )?(photon|particle|electron|positron|parent)s?|(full|light) copies",
        "fat, split (BEAMnrc); of full, of low weight",
    ),
    Term(
        "_wide_",
        "wide (photon|electron|particle)s?",
        "outside the splitting field; large",
        exempt="(?!mc/)",
    ),
    Term("_scraps?_|_room_for_", "scraps?", "workspace"),
    Term(
        "_rooms?_",
        "rooms?",
        "package; space, capacity, workspace",
        ("_dose_in_room_", "_in_the_room_", "in the room", "(fixed|treatment|IEC) room"),
    ),
    Term(
        "_(fates?|depart|departs|departed|settle|settles|settled)_",
        "fates?|settles?|settled",
        "callbacks, on_exit, apply_splitting; resolved",
    ),
    Term("_cascades?_", "cascades?", "shower", exempt=".*relaxation"),
    Term("_(book|books|booked|booking)_", "books?|booked|booking", "tally, tallied"),
    Term("^_spreads?_$", "", "batch statistics", exempt="(?!(tests/)?mc/run/)"),
    Term("_pieces?_", "pieces?", "work unit; segment, part, strip, chunk"),
    Term(
        "^_(least|most)_(?!squares_)[a-z]|[a-z0-9](?<!_at)_(least|most)_$",
        r"(?-i:(\w+_)?(LEAST|MOST)(_\w+)?)",
        "MIN_, MAX_",
    ),
    Term(
        "_(told|tells?|retells?|retold)_",
        "told|tells?|telling",
        "reported, stated, shown, given; distinguished",
        ("_value_tell_",),
    ),
    Term(
        "_(houses?|doors?|strangers?)_",
        "houses?|doors?|strangers?",
        "package, design; sole importer, interface; independent",
    ),
)


class Text(NamedTuple):
    """What is read of a file: identifiers in snake case with `_` around them, and prose, by their lines."""

    name: str
    identifiers: list[tuple[int, str]]
    prose: list[tuple[int, str]]


@pytest.fixture(scope="module")
def tracked() -> list[Text]:
    """Texts that git tracks, this one left out; skipped outside a checkout."""
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("not a git checkout")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    names = [name for name in listed.stdout.split("\0") if name.endswith((".py", *PROSE))]
    here = Path(__file__).relative_to(ROOT).as_posix()
    return [
        read((ROOT / name).read_text(encoding="utf-8"), name)
        for name in names
        if name != here and (ROOT / name).exists()
    ]


@pytest.mark.parametrize("term", TERMS, ids=lambda term: re.split("[,;]", term.instead)[0])
def test_terms_of_the_field(tracked, term):
    found = [
        f"{text.name}:{line}: {hit!r}"
        for text in tracked
        if not re.match(term.exempt, text.name)
        for line, hit in sorted(set(uses(term, text)))
    ]
    assert not found, f"say {term.instead}:\n" + "\n".join(found)


@pytest.mark.parametrize(
    ("text", "lines"),
    (
        ("way = 1.0\n", [1]),
        ("x = 1  # by the way,\n# in the same\n# way\n", []),
        ("x = 1  # on its\n# way out\n", [2]),
        ('"""Said.\n\nThe ways of rays.\n"""\n', [3]),
        ('x = ["way"], "no way"\n', [1]),
        ("class WayOut:\n    LEAST_WAY = 1\n", [1, 2]),
        ("away = always = half_wayward\n", []),
    ),
)
def test_what_is_found(text, lines):
    term = next(term for term in TERMS if term.prose == "ways?")
    assert sorted({line for line, _ in uses(term, read(text, "module.py"))}) == lines


def read(text: str, name: str) -> Text:
    """Identifiers of Python code, its strings (but keys) and blocks of comments; of a page, all of it."""
    if name == HISTORY:  # what it says of versions that are out stays
        text = "".join(text.partition("## [Unreleased]")[1:]).partition("\n## ")[0]
    if not name.endswith(".py"):
        return Text(name, [], [(1, text)])
    identifiers, prose = [], []
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        line = token.start[0]
        if token.type == tokenize.NAME:
            words = re.sub("(?<=[a-z0-9])(?=[A-Z])", "_", token.string)
            identifiers.append((line, f"_{words.lower().strip('_')}_"))
        elif token.type == tokenize.STRING and re.search(r"\s", token.string):
            prose.append((line, token.string))
        elif token.type == tokenize.COMMENT:
            if prose and prose[-1][1].startswith("#") and prose[-1][0] + prose[-1][1].count("\n") == line - 1:
                prose[-1] = prose[-1][0], f"{prose[-1][1]}\n{token.string}"
            else:
                prose.append((line, token.string))
    return Text(name, identifiers, prose)


def uses(term: Term, text: Text) -> Iterator[tuple[int, str]]:
    """Line and wording of every use of a term."""
    for line, identifier in text.identifiers if term.name else ():
        if re.search(term.name, identifier) and re.search(term.name, without(term.allowed, identifier)):
            yield line, identifier.strip("_")
    pattern = re.compile(rf"\b(?:{spaced(term.prose)})\b", re.IGNORECASE)
    for first, part in text.prose if term.prose else ():
        if pattern.search(part):
            for match in pattern.finditer(without(term.allowed, part)):
                yield first + part[: match.start()].count("\n"), re.sub(r"[\s#]+", " ", match[0])


def without(phrases: tuple[str, ...], text: str) -> str:
    """`text` with phrases blotted out; their lines stay."""
    for phrase in phrases:
        pattern = re.compile(rf"(?<![^\W_]){spaced(phrase)}(?![^\W_])", re.IGNORECASE)
        text = pattern.sub(lambda match: re.sub(r"\S", ".", match[0]), text)
    return text


def spaced(expression: str) -> str:
    """An expression in which a space stands for any white space and the signs of a comment."""
    return expression.replace(" ", r"[\s#]+")
