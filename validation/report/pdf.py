"""A report as PDF: the same blocks as in HTML, on as few pages as hold it all."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from functools import cache, singledispatch
from pathlib import Path
from xml.sax import saxutils

import matplotlib
from reportlab import rl_config
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
    Image,
    KeepInFrame,
    KeepTogether,
    PageBreak,
    PageTemplate,
    Paragraph,
    Spacer,
)
from reportlab.platypus import Table as Grid

from phantoms.errors import printable
from phantoms.files import replacing
from validation.report.content import (
    DEVICE,
    FOOTER,
    SIGNATURE,
    Alarm,
    Block,
    Box,
    Boxes,
    Cell,
    Code,
    Drawing,
    Facts,
    Heading,
    Pictures,
    Points,
    Report,
    Section,
    Table,
    Text,
)

rl_config.useA85 = (
    0  # pictures as they are: as text they would be a quarter larger, and take most of the time
)
PAGES = 5  # as many as a report should have
SHORTENED = (16, 10, 6)  # groups of a table that may be shortened, tried in turn until it does
FONT, BOLD = "DejaVuSans", "DejaVuSans-Bold"
MARGIN, FOOT = 11 * mm, 9 * mm
WIDTH = A4[0] - 2 * MARGIN
BELOW = FOOT + 3 * mm
HEIGHT = A4[1] - BELOW - 10 * mm
MIN_COLUMN = 9 * mm
FIGURE_GAP = 1.5 * mm  # beneath a figure's caption
MIN_SCALE = 0.72  # of a figure that does not fit on the page otherwise
LONGEST_WORD = 26 * mm  # what is longer, such as a digest, may be broken
PADDING = 1.0 * mm
# letters of a word, of a paragraph, and of a cell, which must fit on a page
LONGEST_LETTERS, LONGEST_TEXT, LONGEST_CELL = 120, 1500, 500
# borders of what has a status: distinguished by width as well as by colour
MARKS = {
    "pass": (colors.HexColor("#2a7d3a"), 1.2),
    "warn": (colors.HexColor("#d98200"), 2.4),
    "noisy": (colors.HexColor("#6a4fb3"), 3.2),
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
    longest = max((len(block.groups) for block in _tables(report) if block.shorten), default=0)
    *tried, shortest = (None, *(groups for groups in SHORTENED if groups < longest))
    fits = (groups for groups in tried if _print(report, groups, pictures=False)[1] <= PAGES)
    return _print(report, next(fits, shortest))[0]


def _tables(report: Report) -> Iterator[Table]:
    for blocks in (report.opening, *(section.blocks for section in report.sections)):
        yield from (block for block in blocks if isinstance(block, Table))


def _print(report: Report, max_groups: int | None, pictures: bool = True) -> tuple[bytes, int]:
    """The PDF, and its number of pages; without pictures, their places are left empty."""
    _load_fonts()
    file = io.BytesIO()
    document = BaseDocTemplate(
        file,
        pagesize=A4,
        title=printable(f"{report.verdict}: {report.subject[:LONGEST_CELL]}"),
        author="mcverify",
        subject=printable(report.title[:LONGEST_CELL]),
        creator="mcverify",
        producer="mcverify",
        pageCompression=1,
    )
    unpadded = {f"{side}Padding": 0 for side in ("left", "right", "top", "bottom")}
    frame = Frame(MARGIN, BELOW, WIDTH, HEIGHT, **unpadded)
    document.addPageTemplates(PageTemplate(frames=[frame]))
    counted: list[int] = []

    def canvas(*arguments, **options) -> _Numbered:
        foot = f"mcverify - {report.subject}"
        page = _Numbered(*arguments, foot=foot, mark=report.mark, counted=counted, **options)
        if not pictures:
            page.drawImage = lambda *arguments, **options: None
        return page

    document.build(_story(report, max_groups), canvasmaker=canvas)
    return file.getvalue(), counted[0]


class _Numbered(Canvas):
    """A canvas whose pages say how many there are."""

    def __init__(self, *arguments, foot: str, mark: str, counted: list[int], **options) -> None:
        super().__init__(*arguments, **options)
        self._foot, self._mark, self._counted, self._pages = foot, mark, counted, []

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
        self.drawString(MARGIN, FOOT - 2 * mm, printable(self._foot[:60]))
        middle = "not a medical device" if not self._mark else f"{self._mark} - not a medical device"
        self.drawCentredString(A4[0] / 2, FOOT - 2 * mm, middle)
        self.drawRightString(A4[0] - MARGIN, FOOT - 2 * mm, f"page {number} of {pages}")


@cache
def _load_fonts() -> None:
    """Register the fonts of the figures, which have more than Latin letters."""
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    for name in (FONT, BOLD):
        pdfmetrics.registerFont(TTFont(name, folder / f"{name}.ttf"))
    pdfmetrics.registerFontFamily(FONT, normal=FONT, bold=BOLD, italic=FONT, boldItalic=BOLD)


def escape(text: str, longest: int = LONGEST_TEXT) -> str:
    """A text for a paragraph; what no page could hold, in words or letters, ends in an ellipsis."""
    text = re.sub(rf"(\S{{{LONGEST_LETTERS}}})\S+", "\\1…", printable(text))
    return saxutils.escape(text if len(text) <= longest else f"{text[:longest]}…")


def _style(size: float, font: str = FONT, **options) -> ParagraphStyle:
    return ParagraphStyle("", fontName=font, fontSize=size, leading=1.22 * size, **options)


TITLE = _style(13, BOLD, spaceAfter=1 * mm)
SECTION = _style(9.5, BOLD, spaceBefore=2.5 * mm, spaceAfter=1.2 * mm)
HEADING = _style(7.8, BOLD, spaceBefore=1.6 * mm, spaceAfter=0.8 * mm)
WORD, MARK = _style(15, BOLD), _style(10, BOLD, spaceAfter=1 * mm)
BODY = _style(7, spaceAfter=0.8 * mm)
STRONG = _style(7, BOLD)
SMALL = _style(5.8, textColor=LINE, spaceAfter=0.8 * mm)
CELL, NUMBER = _style(5.9), _style(5.9, alignment=TA_RIGHT)
TOP, TOP_NUMBER = _style(5.9, BOLD), _style(5.9, BOLD, alignment=TA_RIGHT)


def _story(report: Report, max_groups: int | None) -> list[Flowable]:
    """Everything from the title to the signature."""
    first: list[Flowable] = [
        Paragraph(escape(report.title, LONGEST_CELL), TITLE),
        Paragraph(escape(DEVICE), STRONG),
        Spacer(0, 1.5 * mm),
        _banner(report),
        Spacer(0, 1.5 * mm),
    ]
    for block in report.opening:
        first += _flow(block, max_groups)
    rest = [flowable for section in report.sections for flowable in _section(section, max_groups)]
    if not report.signed_first:
        return [*first, *rest, _signature()]
    # one page whatever is on it, even if all of it becomes a little smaller
    page = KeepInFrame(WIDTH, HEIGHT - 1, _loose([*first, _signature()]), mode="shrink")
    return [page, PageBreak(), *rest, *_flow(Text(FOOTER, small=True), None)]


class _Together(KeepTogether):
    """Parts that stay on one page."""

    def __init__(self, parts: list[Flowable]) -> None:
        super().__init__(parts)
        self.parts = parts


def _loose(flowables: list[Flowable]) -> list[Flowable]:
    """Without what keeps some of them together, which is no use where all share a page."""
    loose: list[Flowable] = []
    for flowable in flowables:
        loose += flowable.parts if isinstance(flowable, _Together) else [flowable]
    return loose


def _section(section: Section, max_groups: int | None) -> list[Flowable]:
    heading = Paragraph(escape(section.title), SECTION)
    body = [flowable for block in section.blocks for flowable in _flow(block, max_groups)]
    if section.blocks and isinstance(section.blocks[0], Drawing | Pictures):
        return [_Together([heading, body[0]]), *body[1:]]
    return [CondPageBreak(28 * mm), heading, *body]


def _banner(report: Report) -> Flowable:
    """The verdict in a frame."""
    colour, _ = MARKS[report.status]
    mark = [
        Paragraph(f'<font backColor="#1a1a1a" color="#ffffff">&nbsp;{escape(report.mark)}&nbsp;</font>', MARK)
    ]
    body = [
        *(mark if report.mark else []),
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
    return _Together([Spacer(0, 9 * mm), line, Paragraph(escape(FOOTER), SMALL)])


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


@_flow.register
def _(block: Boxes, max_groups: int | None) -> list[Flowable]:
    gap, count = 1.5 * mm, len(block.boxes)
    width = (WIDTH - gap * (count - 1)) / count
    line, widths, style = [], [], [("VALIGN", (0, 0), (-1, -1), "TOP"), *_unpadded()]
    for number, box in enumerate(block.boxes):
        if number:
            line.append("")
            widths.append(gap)
        colour, thick = MARKS[box.status]
        place = (len(line), 0), (len(line), 0)
        style += [("BOX", *place, 0.6, LINE), ("LINEABOVE", *place, 2 + thick, colour, 0)]
        line.append(_box(box, width, count == 1))
        widths.append(width)
    return [Grid([line], colWidths=widths, style=style), Spacer(0, 1.5 * mm)]


def _box(box: Box, width: float, alone: bool) -> list[Flowable]:
    """The contents of a box; a box alone has its word beside its title."""
    indented = {"leftIndent": 1.5 * mm, "rightIndent": 1.5 * mm}
    if alone:
        text = f"{escape(box.question)} <b>{escape(box.word)}.</b> {escape(box.sentence)}"
        return [Spacer(0, 1 * mm), Paragraph(text, _style(7, spaceAfter=1 * mm, **indented))]
    return [
        Spacer(0, 1.2 * mm),
        Paragraph(escape(box.question), _style(6.8, BOLD, textColor=LINE, **indented)),
        Paragraph(escape(box.word), _style(11.5, BOLD, spaceAfter=0.6 * mm, **indented)),
        Paragraph(escape(box.sentence), _style(6.8, spaceAfter=1.2 * mm, **indented)),
    ]


def _unpadded() -> list[tuple]:
    """Style commands of a table without padding."""
    return [(f"{side}PADDING", (0, 0), (-1, -1), 0) for side in ("LEFT", "RIGHT", "TOP", "BOTTOM")]


@_flow.register
def _(block: Pictures, max_groups: int | None) -> list[Flowable]:
    """In rows, each picture as large as on the screen beside its neighbours."""
    inches = [ImageReader(io.BytesIO(drawing.png)).getSize() for drawing in block.drawings]
    widest = sum(sorted((across for across, _ in inches), reverse=True)[: block.columns])
    point = WIDTH / widest  # of a pixel: the widest row fills the page
    images = [
        Image(io.BytesIO(drawing.png), across * point, up * point)
        for drawing, (across, up) in zip(block.drawings, inches, strict=True)
    ]
    rows = [images[first : first + block.columns] for first in range(0, len(images), block.columns)]
    caption = f"<b>{escape(block.title)}.</b> {escape(block.caption)}"
    flowables: list[Flowable] = []
    for row in rows:
        widths = [image.drawWidth for image in row]
        style = [("VALIGN", (0, 0), (-1, -1), "MIDDLE"), *_unpadded()]
        flowables.append(Grid([row], colWidths=widths, style=style, hAlign="LEFT"))
    foot = Paragraph(caption, _style(5.8, spaceAfter=FIGURE_GAP))
    return [*flowables[:-1], _Together([flowables[-1], foot])]


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
                    style.append(("LINEBEFORE", place, place, width, colour, 0))
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
    style = NUMBER if number else TOP if cell.status in ("pass", "warn", "noisy", "fail") else CELL
    small = (
        f'<font size="5.2" color="#444444">{escape(cell.small, LONGEST_CELL)}</font>' if cell.small else ""
    )
    between = (". " if last and not number else "<br/>") if cell.text and small else ""
    return Paragraph(escape(cell.text, LONGEST_CELL) + between + small, style)


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
        broken = texts[:1] if block.is_number(number) else texts
        parts = [word for text in broken for word in text.split()]
        parts += texts[1:] if block.is_number(number) else []
        narrowest.append(max(MIN_COLUMN, *(min(wide(part), LONGEST_WORD) for part in (*parts, ""))))
    if sum(whole) <= WIDTH:
        return [width + (WIDTH - sum(whole)) / len(whole) for width in whole]
    if sum(narrowest) >= WIDTH:
        return [width * WIDTH / sum(narrowest) for width in narrowest]
    part = (WIDTH - sum(narrowest)) / (sum(whole) - sum(narrowest))
    return [low + part * (high - low) for low, high in zip(narrowest, whole, strict=True)]
