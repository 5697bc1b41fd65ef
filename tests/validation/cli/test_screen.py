"""What files state is printed as text: it cannot steer the terminal."""

from __future__ import annotations

import os

from phantoms.errors import InputError
from validation.cli import main
from validation.cli.faults import LOG, _keep_traceback, one_line_errors
from validation.cli.screen import Screen

HOSTILE = "PTV\x1b[2J\x1b]0;owned\x07\x9b31m\u202eevil\r\x7f"
STEERING = "\x1b\x07\x9b\u202e\r\x7f"


def test_names_do_not_steer_the_terminal(capsys):
    screen = Screen()
    screen.line(HOSTILE)
    screen.note(HOSTILE)
    screen.warn(HOSTILE)
    screen.table(HOSTILE, (HOSTILE, "b"), [(HOSTILE, 1)])
    screen.facts("facts", [(HOSTILE, HOSTILE)])
    with screen.progress() as bar:
        bar.stage(HOSTILE)
    with one_line_errors():
        raise InputError(HOSTILE, HOSTILE)
    said = capsys.readouterr()
    for text in (said.out, said.err):
        assert "PTV" in text and not set(STEERING) & set(text)


def test_a_traceback_does_not_follow_a_planted_link(tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / LOG).symlink_to(victim)
    kept = _keep_traceback(ValueError("a bug"), tmp_path)
    assert kept == tmp_path / LOG and "a bug" in kept.read_text() and kept.stat().st_mode & 0o777 == 0o600
    assert victim.read_text() == "precious"


def test_pipes_are_refused_before_anyone_waits_for_them(tmp_path, capsys):
    pipe = str(tmp_path / "pipe")
    os.mkfifo(pipe)
    for argv in (
        ["inspect", pipe],
        ["gamma", pipe, pipe],
        ["plan", pipe],
        ["film", pipe, "--calibration", pipe],
    ):
        more = ["--plane", pipe, "--cut", "coronal=0mm"] if argv[0] == "film" else []
        assert main([*argv, *more]) == 2
        assert f"mcverify: {pipe}: is a pipe or device" in capsys.readouterr().err
