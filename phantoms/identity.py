"""The patient's identity, and texts from which it is removed."""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from phantoms.dicom import Dataset, items, optional, read_dataset
from phantoms.secret import secret

NAMES = ("PatientName", "OtherPatientNames", "PatientBirthName", "PatientMotherBirthName")
NUMBERS = ("PatientID", "OtherPatientIDs", "PatientBirthDate", "AccessionNumber", "MedicalRecordLocator")
SHORTEST_NAME, SHORTEST_NUMBER = 3, 4  # characters: shorter ones occur in too many words to identify anyone
NOT_NAMES = {"anonymous", "anonymized", "anon", "name", "none", "patient", "phantom", "test", "unknown"}
PLACEHOLDER = "[patient]"
NOT_STATED = "not stated"  # in place of a pseudonym
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
        return _pattern(self.words).sub(lambda found: found[1] or PLACEHOLDER, text)

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
    """A UID, as the first group, or one of `words` alone."""
    alternatives = "|".join(map(re.escape, sorted(words, key=len, reverse=True)))
    # an underscore separates words here: file names are often made of the patient's name
    return re.compile(rf"(\d+(?:\.\d+){{3,}})|(?<![^\W_])(?:{alternatives})(?![^\W_])", re.IGNORECASE)


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
                words |= {part.lower() for part in parts if len(part) >= SHORTEST_NAME} - NOT_NAMES
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


def _values(dataset: Dataset, keyword: str, path: str | Path) -> list[str]:
    """All values of an attribute as text."""
    value = optional(dataset, keyword, path)
    if value is None:
        return []
    several = value if isinstance(value, list | tuple) or type(value).__name__ == "MultiValue" else [value]
    return [text for text in (str(one).strip() for one in several) if text]
