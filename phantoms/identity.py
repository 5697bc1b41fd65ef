"""The patient's identity, and texts from which it is removed."""

from __future__ import annotations

import hmac
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from phantoms.dicom import Dataset, items, optional, read_dataset
from phantoms.secret import NOT_STATED, secret

NAMES = ("PatientName", "OtherPatientNames", "PatientBirthName", "PatientMotherBirthName")
NUMBERS = ("PatientID", "OtherPatientIDs", "PatientBirthDate", "AccessionNumber", "MedicalRecordLocator")
SHORTEST_NAME, SHORTEST_NUMBER = 3, 4  # characters: shorter ones occur in too many words to identify anyone
SHORTEST_IDEOGRAPHS = 2
LONG_NAME = 5  # characters: found in the middle of a word, too
UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "å": "aa", "ø": "oe", "æ": "ae"})
NOT_NAMES = {"anonymous", "anonymized", "anon", "name", "none", "patient", "phantom", "test", "unknown"}
PLACEHOLDER = "[patient]"
DIGITS = 12  # of a pseudonym


@dataclass(frozen=True)
class Identity:
    """What identifies the patient.

    Parameters
    ----------
    name : str
        As it is displayed: family name, given name.
    number : str
        Patient ID.
    words : frozenset of str
        Parts of names, and numbers, in lower case.
    """

    name: str = ""
    number: str = ""
    words: frozenset[str] = frozenset()

    @property
    def label(self) -> str:
        """Name and Patient ID, for a report that names the patient."""
        return " ".join(filter(None, (self.name, self.number and f"(ID {self.number})"))) or "not stated"

    def hidden(self, text: str) -> str:
        """`text` with "[patient]" in place of every identifying word; UIDs stay as they are."""
        if not self.words:
            return text
        names = _spellings(self.words)

        def replaced(found: re.Match[str]) -> str:
            return PLACEHOLDER if found[1] is None and _is_word(found, names) else found[0]

        return _pattern(names).sub(replaced, unicodedata.normalize("NFC", text))

    def hidden_in(self, value: Any) -> Any:
        """Lists and dictionaries with `hidden` applied to every text in them."""
        if isinstance(value, str):
            return self.hidden(value)
        if isinstance(value, dict):
            return {key: self.hidden_in(item) for key, item in value.items()}
        return [self.hidden_in(item) for item in value] if isinstance(value, list | tuple) else value

    def is_revealed_by(self, text: str) -> bool:
        """Whether a text has a number, or two parts of a name, of the patient: more than a coincidence."""
        found = [word for word in self.words if Identity(words=frozenset([word])).hidden(text) != text]
        return len(found) > 1 or any(any(c.isdigit() for c in word) for word in found)


@cache
def _pattern(words: frozenset[str]) -> re.Pattern[str]:
    """A UID, as the first group, or one of `words` anywhere."""
    alternatives = "|".join(map(re.escape, sorted(words, key=len, reverse=True)))
    return re.compile(rf"(\d+(?:\.\d+){{3,}})|(?:{alternatives})", re.IGNORECASE)


@cache
def _spellings(words: frozenset[str]) -> frozenset[str]:
    """Words as people and programs write them: without accents, dates in the order of any country."""
    found = set()
    for word in words:
        word = unicodedata.normalize("NFC", word)
        apart = unicodedata.normalize("NFD", word)
        found |= {word, "".join(c for c in apart if not unicodedata.combining(c)), word.translate(UMLAUTS)}
        if date := re.fullmatch(r"(\d{4})(\d\d)(\d\d)", word):
            y, m, d = date.groups()
            short_m, short_d = m.lstrip("0"), d.lstrip("0")
            orders = [(y, m, d), (d, m, y), (m, d, y)]
            found |= {"".join(order) for order in orders}
            orders += [(y, short_m, short_d), (short_d, short_m, y), (short_m, short_d, y)]
            found |= {sign.join(order) for sign in "-./ " for order in orders}
    return frozenset(found)


def _is_word(found: re.Match[str], words: frozenset[str]) -> bool:
    """Whether what was found is more than letters in the middle of a word that has nothing to do with it.

    Names are joined to words, and to each other, as in PlanDoe, DOEplan2, doejane. Long names, and those in
    scripts without capitals, count wherever they are.
    """
    text, start, end = found.string, *found.span()
    has_digits = any(c.isdigit() for c in found[0])
    if not has_digits and (end - start >= LONG_NAME or _has_no_capitals(found[0])):
        return True
    before, after = text[:start].lower(), text[end:].lower()
    starts = _is_edge(text, start) or any(before.endswith(word) for word in words)
    capitals_end = found[0].isupper() and text[end : end + 1].islower()
    return starts and (capitals_end or _is_edge(text, end) or any(after.startswith(word) for word in words))


def _is_edge(text: str, at: int) -> bool:
    """Whether a word begins or ends between two characters; an underscore belongs to none."""
    if not 0 < at < len(text):
        return True
    left, right = text[at - 1], text[at]
    if not (left.isalnum() and right.isalnum()) or left.isdigit() != right.isdigit():
        return True
    next_is_small = text[at + 1 : at + 2].islower()
    return right.isupper() and (left.islower() or next_is_small)


def _has_no_capitals(word: str) -> bool:
    return word.lower() == word.upper() and not any(c.isdigit() for c in word)


def pseudonym(number: str) -> str:
    """The first 12 hexadecimal digits of the HMAC-SHA-256 of a Patient ID with the installation's secret."""
    if not number:
        return NOT_STATED
    return hmac.new(secret(), number.encode(), "sha256").hexdigest()[:DIGITS]


def read_identity(paths: Iterable[str | Path]) -> Identity:
    """The patient's identity in DICOM files; the first file that states a name or number gives it."""
    name, number, words = "", "", set()
    for path in paths:
        dataset = read_dataset(path, header_only=True)
        for keyword in NAMES:
            for value in _values(dataset, keyword, path):
                parts = [part for part in re.split(r"[\^=,\s]+", value) if part]
                chunks = {*parts, *(chunk for part in parts for chunk in re.split(r"[-'’.]", part))}
                words |= {chunk.lower() for chunk in chunks if _identifies(chunk)} - NOT_NAMES
                if keyword == "PatientName":
                    name = name or ", ".join(parts)
        others = items(dataset, "OtherPatientIDsSequence", path)
        for keyword in NUMBERS:
            values = _values(dataset, keyword, path)
            if keyword == "PatientID":
                number = number or next(iter(values), "")
                values += [value for item in others for value in _values(item, keyword, path)]
            words |= {value.lower() for value in values if len(value) >= SHORTEST_NUMBER}
    return Identity(name, number, frozenset(words))


def _identifies(name: str) -> bool:
    """Whether a part of a name is long enough; a name in Chinese has two characters and fewer."""
    return len(name) >= (SHORTEST_IDEOGRAPHS if _has_no_capitals(name) else SHORTEST_NAME)


def _values(dataset: Dataset, keyword: str, path: str | Path) -> list[str]:
    """All values of an attribute as text."""
    value = optional(dataset, keyword, path)
    if value is None:
        return []
    several = value if isinstance(value, list | tuple) or type(value).__name__ == "MultiValue" else [value]
    return [text for text in (str(one).strip() for one in several) if text]
