"""Commands and options that do not exist, refused by name before anything is called missing."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from phantoms.errors import InputError
from phantoms.schema import meant, nearest

_OPTION = re.compile(r"--?[A-Za-z]")


def refuse_unknown_words(parser: argparse.ArgumentParser, words: Sequence[str]) -> None:
    """Refuse the first command or option that the parser does not know.

    Parameters
    ----------
    parser : argparse.ArgumentParser
    words : sequence of str
        The command line.

    Raises
    ------
    InputError
        Which names the word and the one that it may have meant.
    """
    _refuse(parser, list(words), parser)


def _refuse(parser: argparse.ArgumentParser, words: list[str], top: argparse.ArgumentParser) -> None:
    commands = _commands(parser)
    known = set(_options(parser))
    for k, word in enumerate(words):
        if word == "--":
            return
        if _OPTION.match(word):
            if word.partition("=")[0] not in known:
                raise _unknown_option(parser, word.partition("=")[0], known, top)
        elif commands:
            if word not in commands:
                raise _unknown_command(parser, word, commands)
            _refuse(commands[word], words[k + 1 :], top)
            return


def _commands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """The commands below a parser; argparse has no public name for them."""
    found = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    return dict(found[0].choices) if found else {}


def _options(parser: argparse.ArgumentParser) -> Iterator[str]:
    for action in parser._actions:
        yield from action.option_strings


def _command_of(parser: argparse.ArgumentParser) -> str:
    return parser.prog.removeprefix("mcverify").strip()


def _unknown_option(
    parser: argparse.ArgumentParser, word: str, known: set[str], top: argparse.ArgumentParser
) -> InputError:
    near = meant(f"--{word.lstrip('-')}", sorted(known))
    others = [name for name, other in _commands(top).items() if word in _options(other)]
    if not near and others:
        near = f"an option of {', '.join(others)}; "
    return InputError(
        _command_of(parser) or "command line",
        f"{word} is no option of `{parser.prog}`",
        f"{near}`{parser.prog} --help` lists them",
    )


def _unknown_command(
    parser: argparse.ArgumentParser, word: str, commands: dict[str, argparse.ArgumentParser]
) -> InputError:
    known = list(commands)
    if not nearest(word, known) and Path(word).exists() and not _command_of(parser):
        return InputError(word, "is no command", f"`mcverify plan {word}` or `mcverify inspect {word}`?")
    return InputError(
        _command_of(parser) or "command line",
        f"{word!r} is no command of `{parser.prog}`",
        f"{meant(word, known)}commands: {', '.join(known)}",
    )
