"""What a file or folder is, in tables, remarks and warnings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from html import escape

from phantoms.grid import Grid
from phantoms.listing import Listing


@dataclass(frozen=True)
class Remark:
    """A line of text; `warns` where it must not be overlooked."""

    text: str
    warns: bool = False


@dataclass(eq=False)
class Inspection:
    """What is found, in the order it is to be shown.

    Parameters
    ----------
    items : list of Listing or Remark
    """

    items: list[Listing | Remark] = field(default_factory=list)

    @property
    def listings(self) -> tuple[Listing, ...]:
        """The tables."""
        return tuple(item for item in self.items if isinstance(item, Listing))

    @property
    def warnings(self) -> tuple[str, ...]:
        """The warnings."""
        return tuple(item.text for item in self.items if isinstance(item, Remark) and item.warns)

    def table(
        self, title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], right: Sequence[int] = ()
    ) -> None:
        """Add a table."""
        self.items.append(Listing.of(title, columns, rows, right))

    def facts(self, title: str, pairs: Iterable[tuple[str, object]]) -> None:
        """Add names and values."""
        self.items.append(Listing.facts(title, pairs))

    def line(self, text: str) -> None:
        """Add a remark."""
        self.items.append(Remark(text))

    def warn(self, text: str) -> None:
        """Add a warning."""
        self.items.append(Remark(text, warns=True))

    def _repr_html_(self) -> str:
        parts = []
        for item in self.items:
            if isinstance(item, Listing):
                parts.append(item._repr_html_())
            else:
                parts.append(f"<p>{'warning: ' * item.warns}{escape(item.text)}</p>")
        return "".join(parts)


def grid_facts(grid: Grid) -> list[tuple[str, str]]:
    """A grid as facts, in the order x, y, z that a user expects."""
    shape, spacing = grid.shape[::-1], [10 * d for d in grid.spacing[::-1]]
    low, high = [10 * c for c in grid.lower[::-1]], [10 * c for c in grid.upper[::-1]]
    return [
        ("voxels (x, y, z)", " x ".join(str(n) for n in shape)),
        ("voxel size", " x ".join(f"{d:.4g}" for d in spacing) + " mm"),
        (
            "extent (x, y, z)",
            ", ".join(f"{a:.1f} to {b:.1f}" for a, b in zip(low, high, strict=True)) + " mm",
        ),
    ]
