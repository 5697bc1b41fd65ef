"""What a report says, apart from how it looks: `html` and `pdf` print the same blocks."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

DEVICE = "Not a medical device. For checking by a qualified medical physicist, who alone decides."
FOOTER = "mcverify is not a medical device and comes without warranty."
SIGNATURE = ("Checked by", "Date", "Signature")


@dataclass(frozen=True)
class Pair:
    """A line of a list of facts."""

    label: str
    value: str


@dataclass(frozen=True)
class Facts:
    """A list of facts."""

    pairs: tuple[Pair, ...]


@dataclass(frozen=True)
class Text:
    """A paragraph, in small print where it explains rather than states; `link` is the anchor of a section."""

    text: str
    small: bool = False
    link: str = ""


@dataclass(frozen=True)
class Heading:
    """A heading within a section."""

    text: str


@dataclass(frozen=True)
class Points:
    """A list, numbered or not."""

    items: tuple[str, ...]
    numbered: bool = False


@dataclass(frozen=True)
class Alarm:
    """What must not be overlooked."""

    text: str
    items: tuple[str, ...] = ()


@dataclass(frozen=True)
class Code:
    """Lines to copy into a file."""

    lines: tuple[str, ...]


@dataclass(frozen=True)
class Cell:
    """A cell of a table.

    Parameters
    ----------
    text : str
    small : str
        In small print beneath it, or after it in the last column.
    status : {'', 'pass', 'warn', 'fail', 'noisy', 'shown'}
        Marks the cell.
    """

    text: str
    small: str = ""
    status: str = ""


@dataclass(frozen=True)
class Group:
    """Lines of a table that belong together; `head` is a cell beside all of them."""

    lines: tuple[tuple[Cell, ...], ...]
    head: Cell | None = None


@dataclass(frozen=True)
class Table:
    """A table.

    Parameters
    ----------
    columns : tuple of str
    groups : tuple of Group
        The most important first.
    numbers_from : int
        Columns from this one on hold numbers.
    texts_from : int, optional
        Columns from this one on hold text again.
    shorten : bool
        Whether a print of few pages may leave out the last groups, and say how many.
    """

    columns: tuple[str, ...]
    groups: tuple[Group, ...]
    numbers_from: int = 1
    texts_from: int = 1_000
    shorten: bool = False

    def is_number(self, column: int) -> bool:
        """Whether a column holds numbers."""
        return self.numbers_from <= column < self.texts_from


@dataclass(frozen=True)
class Drawing:
    """A figure as PNG, and what it shows."""

    png: bytes = field(repr=False)
    title: str
    caption: str

    @property
    def data_uri(self) -> str:
        """The picture as the address of an <img>."""
        return "data:image/png;base64," + base64.b64encode(self.png).decode("ascii")


@dataclass(frozen=True)
class Pictures:
    """Figures side by side, `columns` in a row, or one above another where there is no space for that."""

    drawings: tuple[Drawing, ...]
    title: str
    caption: str
    columns: int


@dataclass(frozen=True)
class Box:
    """An answer that must be seen first.

    Parameters
    ----------
    title, question, word, sentence : str
    status : {'pass', 'warn', 'fail', 'noisy', 'shown'}
    """

    title: str
    question: str
    word: str
    sentence: str
    status: str


@dataclass(frozen=True)
class Boxes:
    """Answers side by side, or one above another where there is no space for that."""

    boxes: tuple[Box, ...]


Block = Facts | Text | Heading | Points | Alarm | Code | Table | Drawing | Pictures | Boxes


@dataclass(frozen=True)
class Section:
    """A part of a report; `anchor` is a name to link to."""

    title: str
    blocks: tuple[Block, ...]
    anchor: str = ""


@dataclass(frozen=True)
class Report:
    """A report, from the title to the place for a signature.

    Parameters
    ----------
    title : str
    subject : str
        What it is about, in few words, for the window's title and the pages' foot.
    status : {'pass', 'warn', 'fail', 'noisy', 'shown'}
    word, headline, note : str
        The verdict in capitals, in a sentence, and by which limits.
    opening : tuple of Block
        Beneath the verdict, before the first section.
    sections : tuple of Section
    provisional : str
        Why the result is provisional; empty if it is not. It stands beside the verdict, in the title and at
        the foot of every page.
    signed_first : bool
        Whether title, verdict, opening and the place for a signature make up the first page.
    """

    title: str
    subject: str
    status: str
    word: str
    headline: str
    note: str
    opening: tuple[Block, ...]
    sections: tuple[Section, ...] = field(repr=False)
    provisional: str = ""
    signed_first: bool = False

    @property
    def mark(self) -> str:
        """PROVISIONAL and why, or nothing."""
        return f"PROVISIONAL: {self.provisional}" if self.provisional else ""

    @property
    def verdict(self) -> str:
        """The verdict in capitals, as it may be quoted."""
        return f"PROVISIONAL {self.word}" if self.provisional else self.word


def table(
    columns: Iterable[str], lines: Iterable[Sequence[str | Cell]], numbers_from: int = 1, **options
) -> Table:
    """A table of single lines; texts stand for cells."""
    groups = tuple(Group((cells(line),)) for line in lines)
    return Table(tuple(columns), groups, numbers_from, **options)


def cells(line: Iterable[str | Cell]) -> tuple[Cell, ...]:
    """Texts as cells."""
    return tuple(cell if isinstance(cell, Cell) else Cell(cell) for cell in line)
