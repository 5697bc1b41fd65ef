"""What the user sees: results on stdout, progress on stderr; plain text where there is no terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from mc.run.progress import Listener
from mc.run.progress import Progress as RunProgress
from phantoms.errors import printable

if TYPE_CHECKING:
    from phantoms.listing import Listing

COLOURS = {"pass": "bold green", "warn": "bold yellow", "noisy": "bold magenta", "fail": "bold red"}
WORD_COLOURS = {"PASS": "green", "WARNING": "yellow", "TOO NOISY": "magenta", "FAIL": "red"}
PLAIN_WIDTH = 132  # of tables that go to a file [characters]
PLAIN_EVERY = 15.0  # between lines of progress without a terminal [s]


class Screen:
    """The screen of one rank; all but the first stay silent."""

    def __init__(self, shown: bool = True) -> None:
        self._out = _console(shown, stderr=False)
        self._err = _console(shown, stderr=True)

    def line(self, text: str = "", style: str = "") -> None:
        """A line of the result, never wrapped."""
        self._out.print(_text(text, style), soft_wrap=True)

    def note(self, text: str) -> None:
        """A line about what goes on."""
        self._err.print(_text(text), soft_wrap=True)

    def warn(self, text: str) -> None:
        """A warning."""
        self._err.print(_text(f"warning: {text}", "yellow"), soft_wrap=True)

    def confirm(self, question: str) -> bool:
        """Ask whether to go on; yes where nobody is there to answer."""
        if self._out.quiet or not (sys.stdin and sys.stdin.isatty() and self._out.is_terminal):
            return True
        return input(printable(f"{question} [Y/n] ")).strip().lower() in ("", "y", "yes")

    def table(
        self,
        title: str,
        columns: Sequence[str],
        rows: Iterable[Sequence[object]],
        right: Sequence[int] = (),
        whole: Sequence[int] = (),
    ) -> None:
        """A table: columns numbered in `right` are aligned right, those in `whole` never wrapped."""
        table = Table(header_style="bold", show_header=any(columns))
        for number, column in enumerate(columns):
            justify = "right" if number in right else "left"
            table.add_column(_text(column), justify=justify, overflow="fold", no_wrap=number in whole)
        for row in rows:
            table.add_row(*(_text(str(cell), WORD_COLOURS.get(str(cell), "")) for cell in row))
        self.line(title, "bold")
        self._out.print(table)

    def show(self, listing: Listing) -> None:
        """A table that was made elsewhere."""
        self.table(listing.title, listing.columns, listing.rows, listing.right)

    def facts(self, title: str, facts: Iterable[tuple[str, object]]) -> None:
        """A table of names and values."""
        self.table(title, ("", ""), facts)

    @contextmanager
    def progress(self) -> Iterator[Bar]:
        """Stages and their progress, while the body runs."""
        bar = Bar(self._err)
        try:
            yield bar
        finally:
            bar.close()


class Bar:
    """A bar on a terminal, a line from time to time elsewhere."""

    def __init__(self, console: Console) -> None:
        self._console, self._name = console, ""
        self._bar: Progress | None = None
        self._next = 0.0

    def stage(self, name: str) -> None:
        """Show which stage begins."""
        self.close()
        self._name, self._next = name, time.monotonic() + PLAIN_EVERY
        self._console.print(_text(f"{name} ..."), soft_wrap=True)

    def update(self, progress: RunProgress) -> None:
        """Show how far a run has come."""
        if self._console.is_terminal and not self._console.quiet:
            if self._bar is None:
                columns = (
                    TextColumn("{task.description}", markup=False),
                    BarColumn(),
                    TextColumn("{task.fields[state]}"),
                )
                self._bar = Progress(*columns, console=self._console, transient=True)
                self._bar.add_task(printable(self._name), total=1.0, state="")
                self._bar.start()
            self._bar.update(self._bar.task_ids[0], completed=progress.share_done, state=_state(progress))
        elif time.monotonic() >= self._next:
            self._next = time.monotonic() + PLAIN_EVERY
            text = f"{self._name}: {100 * progress.share_done:.0f} %, {_state(progress)}"
            self._console.print(_text(text), soft_wrap=True)

    @property
    def listener(self) -> Listener:
        """Shows stages and progress of a computation."""
        return Listener(self.stage, self.update)

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def clock(seconds: float) -> str:
    """A time as "4.2 s", "3:07 min" or "1:02 h"."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    if seconds < 3600:
        return f"{int(seconds) // 60}:{int(seconds) % 60:02d} min"
    return f"{int(seconds) // 3600}:{int(seconds) % 3600 // 60:02d} h"


def _text(text: str, style: str = "") -> Text:
    return Text(printable(text), style)


def _state(progress: RunProgress) -> str:
    parts = [f"{progress.histories:.3g} histories", clock(progress.elapsed)]
    if progress.uncertainty is not None:
        parts.insert(0, f"{100 * progress.uncertainty:.2f} % transport sigma")
    if 0.0 < progress.share_done < 1.0:
        parts.append(f"{clock(progress.elapsed * (1 / progress.share_done - 1))} left")
    return ", ".join(parts)


def _console(shown: bool, stderr: bool) -> Console:
    with suppress(AttributeError):  # not every stream can; a sign it lacks must not end the command
        (sys.stderr if stderr else sys.stdout).reconfigure(errors="replace")
    console = Console(stderr=stderr, quiet=not shown, highlight=False)
    if not console.is_terminal:
        console.width = PLAIN_WIDTH
    return console
