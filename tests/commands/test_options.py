"""No option of any command is lost: given twice, it counts twice or is refused."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import pytest

from kaimen.cli import main as gate
from kaimen.cli.parser import Once
from kaimen_train.cli import main as workshop
from tests.test_docs import parsers


def every_parser() -> Iterator[tuple[str, argparse.ArgumentParser]]:
    for name, program in (("kaimen", gate), ("kaimen-train", workshop)):
        for command in program.COMMANDS:
            for found, parser in parsers(name, program.parser(command)):
                if found.startswith(f"{name} {command}"):
                    yield found, parser


OPTIONS = [
    (name, action)
    for name, parser in every_parser()
    for action in parser._actions
    if action.option_strings and action.nargs != 0
]


@pytest.mark.parametrize(
    ("name", "action"), OPTIONS, ids=[f"{name} {a.option_strings[-1]}" for name, a in OPTIONS]
)
def test_an_option_that_takes_a_value_is_refused_or_kept_when_given_twice(
    name: str, action: argparse.Action
) -> None:
    assert isinstance(action, (Once, argparse._AppendAction))


def test_an_option_that_is_given_twice_is_an_error_and_changes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    config = tmp_path / "kaimen.toml"
    with pytest.raises(SystemExit) as ended:
        gate.main(["students", "--group", "7a", "--group", "7b", "--config", str(config)])
    assert ended.value.code == 2
    assert "--group: given twice; give it once" in capsys.readouterr().err


def test_a_default_is_no_first_time() -> None:
    found = gate.parser("calibrate").parse_args(["calibrate", "--config", "a.toml"])
    assert found.config == Path("a.toml")
