"""Which tests 'make check' runs."""

from __future__ import annotations

import pytest

from tests.touched import tests_of as touched_by


@pytest.mark.parametrize(
    ("changed", "folder"),
    [
        ("edge/kaimen/door/relay.py", "tests/door"),
        ("edge/kaimen/console/templates/base.html", "tests/console"),
        ("edge/kaimen/cli/log.py", "tests/commands"),
        ("training/kaimen_train/loop.py", "tests/training"),
        ("tests/fleet/conftest.py", "tests/fleet"),
        ("systemd/kaimen.service", "tests/deploy"),
    ],
)
def test_a_change_runs_the_tests_of_its_room(changed: str, folder: str) -> None:
    assert set(touched_by([changed])) - set(touched_by([])) == {folder}


def test_the_tests_of_the_whole_house_run_with_any_change() -> None:
    assert {"tests/test_architecture.py", "tests/test_docs.py"} <= set(touched_by([]))


def test_what_has_no_tests_of_its_own_runs_those_of_the_whole_house() -> None:
    assert touched_by(["README.md", "edge/kaimen/names.py"]) == touched_by([])
