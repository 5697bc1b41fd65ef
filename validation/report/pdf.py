"""A report as PDF: the same blocks as in HTML, on as few pages as hold it all."""

from __future__ import annotations

import io
from functools import cache, singledispatch
from pathlib import Path
from xml.sax.saxutils import escape

import matplotlib
from reportlab.lib import colors
from reportlab.lib.enums import TA_RIGHT
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.lib.utils import ImageReader
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import (
    BaseDocTemplate,
    CondPageBreak,
    Flowable,
    Frame,
    KeepTogether,
    PageTemplate,
    Paragraph,
    Spacer,
)
from reportlab.platypus import Table as Grid

from phantoms.files import replacing
from validation.report.content import (
    DEVICE,
    FOOTER,
    SIGNATURE,
    Alarm,
    Block,
    Cell,
    Code,
    Drawing,
    Facts,
    Heading,
    Points,
    Report,
    Section,
    Table,
    Text,
)

PAGES = 4  # as many as a report should have
SHORTENED = (None, 16, 10, 6)  # groups of a table that may be shortened, tried in turn until it does
FONT, BOLD = "DejaVuSans", "DejaVuSans-Bold"
MARGIN, FOOT = 11 * mm, 9 * mm
WIDTH = A4[0] - 2 * MARGIN
MIN_COLUMN = 9 * mm
FIGURE_GAP = 1.5 * mm  # beneath a figure's caption
MIN_SCALE = 0.72  # of a figure that does not fit on the page otherwise
LONGEST_WORD = 26 * mm  # what is longer, such as a digest, may be broken
PADDING = 1.0 * mm
# borders of what has a status: distinguished by width as well as by colour
MARKS = {
    "pass": (colors.HexColor("#2a7d3a"), 1.2),
    "warn": (colors.HexColor("#d98200"), 2.4),
    "noisy": (colors.HexColor("#7a3a9a"), 3.2),
    "fail": (colors.HexColor("#b00020"), 4.0),
    "shown": (colors.HexColor("#cccccc"), 0.6),
}
LINE, FAINT = colors.HexColor("#555555"), colors.HexColor("#dddddd")


def write_pdf(report: Report, path: str | Path) -> None:
    """Write a report as PDF.

    Raises
    ------
    InputError
        If the file cannot be written; one already there stays as it was.
    """
    with replacing(path) as partial:
        partial.write_bytes(render(report))


def render(report: Report) -> bytes:
    """The report as PDF: tables that may be shortened only as much as `PAGES` ask for."""
    for max_groups in SHORTENED:
        printed, pages = _print(report, max_groups)
        if pages <= PAGES:
            break
    return printed


def _print(report: Report, max_groups: int | None) -> tuple[bytes, int]:
    """The PDF, and its number of pages."""
    _load_fonts()
    file = io.BytesIO()
    document = BaseDocTemplate(
        file,
        pagesize=A4,
        title=f"{report.word}: {report.subject}",
        author="mcverify",
        subject=report.title,
        creator="mcverify",
        producer="mcverify",
        pageCompression=1,
    )
    below, top = FOOT + 3 * mm, 10 * mm
    unpadded = {f"{side}Padding": 0 for side in ("left", "right", "top", "bottom")}
    frame = Frame(MARGIN, below, WIDTH, A4[1] - below - top, **unpadded)
    document.addPageTemplates(PageTemplate(frames=[frame]))
    counted: list[int] = []

    def canvas(*arguments, **options) -> _Numbered:
        return _Numbered(*arguments, foot=report.subject, counted=counted, **options)

    document.build(_story(report, max_groups), canvasmaker=canvas)
    return file.getvalue(), counted[0]


class _Numbered(Canvas):
    """A canvas whose pages say how many there are."""

    def __init__(self, *arguments, foot: str, counted: list[int], **options) -> None:
        super().__init__(*arguments, **options)
        self._foot, self._counted, self._pages = foot, counted, []

    def showPage(self) -> None:
        """Keep the page until their number is known."""
        self._pages.append(dict(self.__dict__))
        self._startPage()

    def save(self) -> None:
        """Write all pages with their feet."""
        self._counted.append(len(self._pages))
        for number, page in enumerate(self._pages, start=1):
            self.__dict__.update(page)
            self._draw_foot(number, len(self._pages))
            super().showPage()
        super().save()

    def _draw_foot(self, number: int, pages: int) -> None:
        self.setFont(FONT, 6)
        self.setFillColor(LINE)
        self.drawString(MARGIN, FOOT - 2 * mm, f"mcverify - {self._foot}"[:90])
        self.drawCentredString(A4[0] / 2, FOOT - 2 * mm, "not a medical device")
        self.drawRightString(A4[0] - MARGIN, FOOT - 2 * mm, f"page {number} of {pages}")


@cache
def _load_fonts() -> None:
    """Register the fonts of the figures, which have more than Latin letters."""
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    for name in (FONT, BOLD):
        pdfmetrics.registerFont(TTFont(name, folder / f"{name}.ttf"))
    pdfmetrics.registerFontFamily(FONT, normal=FONT, bold=BOLD, italic=FONT, boldItalic=BOLD)


def _style(size: float, font: str = FONT, **options) -> ParagraphStyle:
    return ParagraphStyle("", fontName=font, fontSize=size, leading=1.22 * size, **options)


TITLE = _style(13, BOLD, spaceAfter=1 * mm)
SECTION = _style(9.5, BOLD, spaceBefore=2.5 * mm, spaceAfter=1.2 * mm)
HEADING = _style(7.8, BOLD, spaceBefore=1.6 * mm, spaceAfter=0.8 * mm)
WORD = _style(15, BOLD)
BODY = _style(7, spaceAfter=0.8 * mm)
STRONG = _style(7, BOLD)
SMALL = _style(5.8, textColor=LINE, spaceAfter=0.8 * mm)
CELL, NUMBER = _style(5.9), _style(5.9, alignment=TA_RIGHT)
TOP, TOP_NUMBER = _style(5.9, BOLD), _style(5.9, BOLD, alignment=TA_RIGHT)


def _story(report: Report, max_groups: int | None) -> list[Flowable]:
    """Everything from the title to the signature."""
    story: list[Flowable] = [
        Paragraph(escape(report.title), TITLE),
        Paragraph(escape(DEVICE), STRONG),
        Spacer(0, 1.5 * mm),
        _banner(report),
        Spacer(0, 1.5 * mm),
    ]
    for block in report.opening:
        story += _flow(block, max_groups)
    for section in report.sections:
        story += _section(section, max_groups)
    return [*story, _signature()]


def _section(section: Section, max_groups: int | None) -> list[Flowable]:
    heading = Paragraph(escape(section.title), SECTION)
    body = [flowable for block in section.blocks for flowable in _flow(block, max_groups)]
    if body and isinstance(body[0], _Figure):
        return [KeepTogether([heading, body[0]]), *body[1:]]
    return [CondPageBreak(28 * mm), heading, *body]


def _banner(report: Report) -> Flowable:
    """The verdict in a frame."""
    colour, _ = MARKS[report.status]
    body = [
        Paragraph(escape(report.word), WORD),
        Paragraph(escape(report.headline), BODY),
        Paragraph(escape(report.note), SMALL),
    ]
    return Grid(
        [["", body]],
        colWidths=[4 * mm, WIDTH - 4 * mm],
        style=[("BOX", (0, 0), (-1, -1), 0.7, LINE), ("BACKGROUND", (0, 0), (0, 0), colour)],
    )


def _signature() -> Flowable:
    """A place to sign, and what this is not."""
    line = Grid(
        [[Paragraph(label, BODY) for label in SIGNATURE]],
        colWidths=[WIDTH / len(SIGNATURE)] * len(SIGNATURE),
        style=[
            command
            for column in range(len(SIGNATURE))
            for command in (("LINEABOVE", (column, 0), (column, 0), 0.6, LINE),)
        ],
    )
    return KeepTogether([Spacer(0, 12 * mm), line, Paragraph(escape(FOOTER), SMALL)])


@singledispatch
def _flow(block: Block, max_groups: int | None) -> list[Flowable]:
    """What is printed of a block; `max_groups` of a table that may be shortened."""
    raise TypeError(f"{type(block).__name__} cannot be printed")


@_flow.register
def _(block: Text, max_groups: int | None) -> list[Flowable]:
    return [Paragraph(escape(block.text), SMALL if block.small else BODY)]


@_flow.register
def _(block: Heading, max_groups: int | None) -> list[Flowable]:
    return [CondPageBreak(14 * mm), Paragraph(escape(block.text), HEADING)]


@_flow.register
def _(block: Points, max_groups: int | None) -> list[Flowable]:
    style = _style(6.5, leftIndent=4 * mm, bulletIndent=0, bulletFontName=FONT, bulletFontSize=6.5)
    marks = (f"{number}." if block.numbered else "-" for number in range(1, len(block.items) + 1))
    return [Paragraph(escape(item), style, mark) for item, mark in zip(block.items, marks, strict=True)]


@_flow.register
def _(block: Alarm, max_groups: int | None) -> list[Flowable]:
    body = [Paragraph(escape(text), STRONG) for text in (block.text, *(f"- {item}" for item in block.items))]
    colour, width = MARKS["fail"]
    framed = Grid([[body]], colWidths=[WIDTH], style=[("BOX", (0, 0), (-1, -1), 0.5 * width, colour)])
    return [framed, Spacer(0, 1.5 * mm)]


@_flow.register
def _(block: Code, max_groups: int | None) -> list[Flowable]:
    return [Paragraph("<br/>".join(map(escape, block.lines)), CELL)]


@_flow.register
def _(block: Drawing, max_groups: int | None) -> list[Flowable]:
    return [_Figure(block)]


class _Figure(Flowable):
    """A figure with its caption, a little smaller where it then fits on the page."""

    def __init__(self, drawing: Drawing) -> None:
        super().__init__()
        self._image = ImageReader(io.BytesIO(drawing.png))
        caption = f"<b>{escape(drawing.title)}.</b> {escape(drawing.caption)}"
        self._caption = Paragraph(caption, _style(5.8))

    def wrap(self, width: float, height: float) -> tuple[float, float]:
        """Its size in a space of this size."""
        across, up = self._image.getSize()
        _, self._below = self._caption.wrap(width, height)
        whole = width * up / across
        available = height - self._below - FIGURE_GAP
        self._scale = available / whole if MIN_SCALE * whole <= available < whole else 1.0
        self._size = width, self._scale * whole
        return width, self._size[1] + self._below + FIGURE_GAP

    def draw(self) -> None:
        """Draw the picture in the middle, the caption beneath it."""
        width, up = self._size
        across = self._scale * width
        self.canv.drawImage(self._image, 0.5 * (width - across), self._below + FIGURE_GAP, across, up)
        self._caption.drawOn(self.canv, 0, FIGURE_GAP)


@_flow.register
def _(block: Facts, max_groups: int | None) -> list[Flowable]:
    """In two columns, read down the first and then the second."""
    half = -(-len(block.pairs) // 2)
    columns = block.pairs[:half], block.pairs[half:]
    lines = []
    for number in range(half):
        line = []
        for pairs in columns:
            pair = pairs[number] if number < len(pairs) else None
            line += [_paragraph(pair.label, CELL, LINE), _paragraph(pair.value)] if pair else ["", ""]
        lines.append(line)
    share = [0.18 * WIDTH, 0.32 * WIDTH]
    style = [*_compact(), ("LINEBELOW", (0, 0), (-1, -1), 0.3, FAINT)]
    return [Grid(lines, colWidths=2 * share, style=style)]


@_flow.register
def _(block: Table, max_groups: int | None) -> list[Flowable]:
    groups = block.groups[:max_groups] if block.shorten else block.groups
    style = [*_compact(), ("LINEBELOW", (0, 0), (-1, 0), 0.6, LINE)]
    lines: list[list[Flowable]] = [
        [
            _paragraph(column, TOP_NUMBER if block.is_number(number) else TOP)
            for number, column in enumerate(block.columns)
        ]
    ]
    for group in groups:
        first = len(lines)
        for number, line in enumerate(group.lines):
            row = line if group.head is None else (group.head if number == 0 else Cell(""), *line)
            last = len(row) - 1
            lines.append(
                [_cell(cell, block.is_number(column), column == last) for column, cell in enumerate(row)]
            )
            for column, cell in enumerate(row):
                if cell.status:
                    colour, width = MARKS[cell.status]
                    place = column, len(lines) - 1
                    style.append(("LINEBEFORE", place, place, width, colour))
        last = len(lines) - 1
        if group.head is not None:
            style.append(("SPAN", (0, first), (0, last)))
        style += [("LINEBELOW", (0, last), (-1, last), 0.3, FAINT), ("NOSPLIT", (0, first), (-1, last))]
    flowables = [Grid(lines, colWidths=_widths(block), repeatRows=1, style=style), Spacer(0, 1 * mm)]
    if left_out := len(block.groups) - len(groups):
        text = f"{left_out} more, less important or less irradiated, in the report as HTML."
        flowables.append(Paragraph(text, SMALL))
    return flowables


def _compact() -> list[tuple]:
    """Style commands that every table has."""
    everywhere = (0, 0), (-1, -1)
    return [
        ("TOPPADDING", *everywhere, 0.35 * mm),
        ("BOTTOMPADDING", *everywhere, 0.35 * mm),
        ("LEFTPADDING", *everywhere, PADDING),
        ("RIGHTPADDING", *everywhere, PADDING),
        ("VALIGN", *everywhere, "TOP"),
    ]


def _cell(cell: Cell, number: bool, last: bool) -> Flowable:
    style = NUMBER if number else TOP if cell.status in ("pass", "warn", "fail") else CELL
    small = f'<font size="5.2" color="#444444">{escape(cell.small)}</font>' if cell.small else ""
    between = (". " if last else "<br/>") if cell.text and small else ""
    return Paragraph(escape(cell.text) + between + small, style)


def _paragraph(text: str, style: ParagraphStyle = CELL, colour: colors.Color = colors.black) -> Flowable:
    return Paragraph(f'<font color="{colour.hexval()}">{escape(text)}</font>', style)


def _widths(block: Table) -> list[float]:
    """Widths of a table's columns: what their texts take on one line if all do, less the longer they are."""
    columns: list[list[str]] = [[column] for column in block.columns]
    for group in block.groups:
        for line in group.lines:
            row = line if group.head is None else (group.head, *line)
            for texts, cell in zip(columns, row, strict=True):
                texts += [cell.text, cell.small]

    def wide(text: str) -> float:
        return pdfmetrics.stringWidth(text, BOLD, CELL.fontSize) + 2 * PADDING + 1

    whole = [max(MIN_COLUMN, *map(wide, texts)) for texts in columns]
    narrowest = []
    for number, texts in enumerate(columns):
        # numbers stay on one line, other texts are broken between words
        parts = texts[1:] if block.is_number(number) else [word for text in texts for word in text.split()]
        narrowest.append(max(MIN_COLUMN, *(min(wide(part), LONGEST_WORD) for part in (*parts, ""))))
    if sum(whole) <= WIDTH:
        return [width + (WIDTH - sum(whole)) / len(whole) for width in whole]
    if sum(narrowest) >= WIDTH:
        return [width * WIDTH / sum(narrowest) for width in narrowest]
    part = (WIDTH - sum(narrowest)) / (sum(whole) - sum(narrowest))
    return [low + part * (high - low) for low, high in zip(narrowest, whole, strict=True)]
