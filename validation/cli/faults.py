"""Whatever goes wrong becomes one line on stderr and exit code 2; a bug leaves its traceback in a file."""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from mc import __version__
from mc.run.interrupt import SUSPEND_SIGNALS, SUSPENDED_CODE, SUSPENDED_LINE, Suspended
from phantoms.errors import InputError, printable
from phantoms.files import replacing
from phantoms.user_folders import temporary_folder
from validation.workflow.output import LOG

NO_VERDICT = 2
DEBUG = "MCVERIFY_DEBUG"  # environment variable: set it to see tracebacks


@dataclass
class Outcome:
    """How a command ended: its exit code, that of "no verdict" until the command says otherwise."""

    code: int = NO_VERDICT


@contextmanager
def one_line_errors() -> Iterator[Outcome]:
    """Run the body; an exception becomes one line and leaves the outcome at "no verdict"."""
    outcome = Outcome()
    try:
        with _suspend_on_signal(), as_input_error():
            yield outcome
    except InputError as error:
        _print_error(str(error))
    except Suspended:
        outcome.code = SUSPENDED_CODE
        _print_error(SUSPENDED_LINE)
    except KeyboardInterrupt:
        _print_error("interrupted")
    except BrokenPipeError:  # the reader of our output has gone, as in `mcverify inspect x | head`
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def as_input_error(out: Path | None = None) -> Iterator[None]:
    """Turn every exception into an InputError; the traceback of a bug is kept in or beside `out`."""
    try:
        yield
    except (InputError, BrokenPipeError):
        raise
    except MemoryError:
        raise InputError(
            "memory", "there is not enough of it", "use larger voxels (--voxel) or fewer ranks"
        ) from None
    except Exception as error:
        if os.environ.get(DEBUG):
            traceback.print_exc()
        if isinstance(error, OSError) and error.strerror:
            raise InputError(error.filename or "input or output", error.strerror.lower()) from None
        log = _keep_traceback(error, out)
        problem = f"{type(error).__name__}: {error}; please report it"
        raise InputError(
            "internal error", problem, f"details in {log}" if log else f"set {DEBUG}=1 for details"
        ) from None


def _keep_traceback(error: Exception, out: Path | None) -> Path | None:
    """Write the traceback in or beside `out`, or else into the user's folder for temporary files."""
    text = "".join(
        [f"mcverify {__version__}: {' '.join(sys.argv[1:])}\n", *traceback.format_exception(error)]
    )
    places = [] if out is None else [out, out.parent]
    for place in (*places, temporary_folder()):
        with suppress(OSError, InputError):
            if place.is_dir():
                with replacing(place / LOG) as partial:
                    partial.write_text(text)
                return place / LOG
    return None


@contextmanager
def _suspend_on_signal() -> Iterator[None]:
    """Let the signals by which a cluster ends a job raise `Suspended`, where no run is there to save."""

    def suspend(*_: object) -> None:
        raise Suspended

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, suspend) for number in SUSPEND_SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _print_error(text: str) -> None:
    with suppress(OSError):
        print(f"mcverify: {printable(' '.join(text.split()))}", file=sys.stderr, flush=True)
