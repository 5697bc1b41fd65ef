"""What a user chooses once, in config.toml."""

from argparse import Namespace

import pytest

from phantoms.errors import InputError
from validation.cli import dvh
from validation.cli.options import parse
from validation.workflow.configuration import Configuration, configuration_file, read_configuration


@pytest.fixture
def configured(tmp_path, monkeypatch):
    """Write config.toml where mcverify looks for it."""
    monkeypatch.delenv("MCVERIFY_CONFIG", raising=False)
    monkeypatch.setattr("validation.workflow.configuration.user_config_dir", lambda _: str(tmp_path))

    def write(text):
        (tmp_path / "config.toml").write_text(text)
        return tmp_path

    return write


def test_without_a_file_everything_has_its_default(configured):
    assert read_configuration() == Configuration(name=False, profile="spine", threads=None)
    assert parse(["plan", "x"]).name is False


def test_a_choice_holds_until_an_option_overrides_it(configured):
    folder = configured('name = true\nprofile = "ours.toml"\nthreads = 3\n')
    assert configuration_file() == folder / "config.toml"
    arguments = parse(["plan", "x"])
    assert arguments.name is True and arguments.threads == 3
    assert parse(["report", "x"]).name is True
    arguments = parse(["plan", "x", "--no-name", "--threads", "2"])
    assert arguments.name is False and arguments.threads == 2
    with pytest.raises(InputError, match=f"profile {folder}/ours.toml: no such file"):
        dvh.run(Namespace(plan=None, metrics=(), profile=None), None, None)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nmae = true", "config.toml: nmae: is unknown (did you mean 'name'?)"),
        ('name = "yes"', "name: must be true or false"),
        ("threads = 1.5", "threads: must be whole"),
        ("sad_cm = 100.0", "config.toml: is a machine file, not a configuration"),
    ],
)
def test_mistakes(configured, text, said):
    configured(text)
    with pytest.raises(InputError) as caught:
        parse(["plan", "x"])
    assert said in str(caught.value)


def test_another_file_may_be_named(configured, tmp_path, monkeypatch):
    monkeypatch.setenv("MCVERIFY_CONFIG", str(tmp_path / "other.toml"))
    with pytest.raises(InputError, match=r"other.toml: the configuration cannot be read"):
        read_configuration()
    (tmp_path / "other.toml").write_text("name = true")
    assert read_configuration().name
