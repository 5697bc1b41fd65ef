"""Commands and options that do not exist are named, with what they may have meant."""

import pytest

from phantoms.errors import InputError
from validation.cli import main
from validation.cli.options import parse


def refused(words):
    with pytest.raises(InputError) as caught:
        parse(words)
    return str(caught.value)


def test_no_word_at_all_prints_the_help(capsys):
    with pytest.raises(SystemExit) as ended:
        main([])
    assert ended.value.code == 0
    said = capsys.readouterr()
    assert "Monte Carlo check" in said.out and "film-calibrate" in said.out and not said.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["pln", "x"], "'pln' is no command of `mcverify` (did you mean 'plan'?"),
        (["phsp", "mrge"], "'mrge' is no command of `mcverify phsp` (did you mean 'merge'?"),
        # before anything is called missing
        (["film", "x.tif", "--calibratoin", "c"], "--calibratoin is no option of `mcverify film` (did you"),
        (["plan", "-out", "x"], "-out is no option of `mcverify plan` (did you mean '--out'?"),
        (["demo", "--phantom=water"], "--phantom is no option of `mcverify demo` (an option of plan;"),
        (["plan", "x", "--dose-to", "watr"], "--dose-to: 'watr' is unknown (did you mean 'water'?"),
    ],
)
def test_unknown_words(words, said):
    assert said in refused(words)


def test_a_folder_in_place_of_a_command(tmp_path):
    assert f"`mcverify plan {tmp_path}`" in refused([str(tmp_path)])


def test_values_that_look_like_options_are_left_alone():
    arguments = parse(["film", "x.tif", "--calibration", "c", "--plane", "p", "--place=-2mm,3mm"])
    assert arguments.place == pytest.approx((-2.0, 3.0, 0.0))
