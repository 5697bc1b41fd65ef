"""One run at a time writes into a result folder: a lock that names host, process and job.

The lock is the system's (flock), so that it ends with the process, however that ends; the file is there to
say whose it is. Where a file system has no locks, the file alone decides.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from phantoms.errors import InputError

FILE = ".mcverify.lock"
JOBS = ("SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID", "JOB_ID")  # environment variables of schedulers
OTHER_FOLDER = "choose another folder with --out"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other runs from writing into `folder` while the body runs.

    Raises
    ------
    InputError
        If another run holds it, or the lock cannot be written.
    """
    path = folder / FILE
    try:
        held = _open(path)
    except OSError as error:
        problem = f"cannot be written: {error.strerror}"
        raise InputError(path, problem, OTHER_FOLDER) from None
    try:
        os.ftruncate(held, 0)
        os.pwrite(held, json.dumps(_owner()).encode(), 0)
        yield
    finally:
        with suppress(OSError):
            path.unlink()
        os.close(held)


def _open(path: Path) -> int:
    """Open and lock the file; nobody else's, and no link to another."""
    while True:
        held = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            facts = os.fstat(held)
            if not stat.S_ISREG(facts.st_mode) or facts.st_uid != os.geteuid() or facts.st_nlink > 1:
                raise InputError(path, "is not a lock of yours", "remove it if no run uses this folder")
            _lock(held, path)
            if path.exists() and os.path.samestat(os.fstat(held), path.stat()):
                return held
        except BaseException:
            os.close(held)
            raise
        os.close(held)  # its owner removed it meanwhile


def _lock(held: int, path: Path) -> None:
    stated = _stated(held)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise InputError(
            path.parent, f"is being written by another run: {_who(stated)}", f"wait for it, or {OTHER_FOLDER}"
        ) from None
    except OSError:  # a file system without locks
        if stated and not _ended(stated):
            problem = f"is being written by another run, or one that was killed: {_who(stated)}"
            raise InputError(path.parent, problem, f"if that run has ended, remove {path}") from None


def _owner() -> dict[str, str | int]:
    job = next((os.environ[name] for name in JOBS if name in os.environ), "")
    started = datetime.now().astimezone().isoformat(timespec="seconds")
    return {"host": socket.gethostname(), "process": os.getpid(), "job": job, "since": started}


def _stated(held: int) -> dict:
    """What the file says of its owner; empty where it says nothing."""
    try:
        stated = json.loads(os.pread(held, 4096, 0))
    except ValueError:
        return {}
    return stated if isinstance(stated, dict) else {}


def _ended(stated: dict) -> bool:
    """Whether the owner is known to have ended: an earlier start of our job, or a process gone from here."""
    ours = _owner()
    if ours["job"] and stated.get("job") == ours["job"]:
        return True
    if stated.get("host") != ours["host"] or not isinstance(stated.get("process"), int):
        return False
    try:
        os.kill(stated["process"], 0)
    except ProcessLookupError:
        return True
    except OSError:  # of another user
        return False
    return False


def _who(stated: dict) -> str:
    return ", ".join(f"{key} {stated[key]}" for key in _owner() if stated.get(key)) or "it does not say which"
