"""A small table as the screen and a notebook show it: the same rows, there as text and here as HTML."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

_CELL = "padding:0.15em 0.7em;text-align:{align};vertical-align:top"


@dataclass(frozen=True)
class Listing:
    """A table of texts.

    Parameters
    ----------
    title : str
    columns : tuple of str
        Their headings; all empty for a list of facts.
    rows : tuple of tuple of object
        Cells, shown as `str` gives them.
    right : tuple of int
        Columns that are aligned right, as numbers are.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[object, ...], ...]
    right: tuple[int, ...] = ()

    @classmethod
    def of(
        cls, title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], right: Sequence[int] = ()
    ) -> Listing:
        """Make a listing of any rows."""
        return cls(title, tuple(columns), tuple(tuple(row) for row in rows), tuple(right))

    @classmethod
    def facts(cls, title: str, pairs: Iterable[tuple[str, object]]) -> Listing:
        """Names and values, without headings."""
        return cls.of(title, ("", ""), pairs)

    def _repr_html_(self) -> str:
        head = ""
        if any(self.columns):
            cells = (self._cell("th", number, text) for number, text in enumerate(self.columns))
            head = f"<thead><tr>{''.join(cells)}</tr></thead>"
        rows = (
            f"<tr>{''.join(self._cell('td', number, value) for number, value in enumerate(row))}</tr>"
            for row in self.rows
        )
        title = f"<caption style='text-align:left;font-weight:bold'>{escape(self.title)}</caption>"
        return f"<table>{title}{head}<tbody>{''.join(rows)}</tbody></table>"

    def _cell(self, tag: str, number: int, value: object) -> str:
        style = _CELL.format(align="right" if number in self.right else "left")
        return f"<{tag} style='{style}'>{escape(str(value))}</{tag}>"
