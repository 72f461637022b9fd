"""Who may enter when, as an operator writes it."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaimen.errors import SettingsError
from kaimen.settings import Settings
from kaimen.settings.roster import Rule, groups_at, groups_at_once

MONDAY = datetime.datetime(2027, 3, 1, 8, 0)


def read(folder: Path, text: str) -> tuple[Rule, ...]:
    path = folder / "kaimen.toml"
    path.write_text(text, encoding="utf-8")
    return Settings.read(path).roster


def test_without_a_roster_everybody_may_always_enter(tmp_path: Path) -> None:
    assert read(tmp_path, "") == ()
    assert groups_at((), MONDAY) is None


def test_several_rules_add_up(tmp_path: Path) -> None:
    roster = read(
        tmp_path,
        """
[[roster]]
groups = ["7a", "7b"]
days = "mon-fri"
opens = "07:30"
closes = "17:00"

[[roster]]
groups = ["staff"]
days = "sat, sun, wed-thu"
""",
    )
    found = {
        (day, hour): groups_at(roster, MONDAY + datetime.timedelta(days=day, hours=hour - 8))
        for day, hour in [(0, 7), (0, 8), (0, 17), (2, 16), (2, 23), (5, 12)]
    }
    assert found == {
        (0, 7): set(),
        (0, 8): {"7a", "7b"},
        (0, 17): set(),
        (2, 16): {"7a", "7b", "staff"},
        (2, 23): {"staff"},
        (5, 12): {"staff"},
    }


def test_opening_and_closing_are_to_the_minute() -> None:
    rule = Rule(("7a",), opens=datetime.time(7, 30), closes=datetime.time(8))
    minutes = [MONDAY.replace(hour=7, minute=29), MONDAY.replace(hour=7, minute=30)]
    assert [rule.holds(now) for now in minutes] == [False, True]
    minutes = [MONDAY.replace(hour=7, minute=59), MONDAY.replace(hour=8)]
    assert [rule.holds(now) for now in minutes] == [True, False]


@pytest.mark.parametrize(
    ("lines", "hint"),
    [
        ("days = 'mon'", "groups must name some"),
        ("groups = []", "groups must name some"),
        ("groups = '7a'", "groups must name some"),
        ("groups = [7]", "groups must name some"),
        ("groups = ['7a']\nhours = '7'", "is a table of groups, days, opens, closes"),
        ("groups = ['7a']\ndays = 'monday'", "days must be like"),
        ("groups = ['7a']\ndays = 'fri-mon'", "days must be like"),
        ("groups = ['7a']\ndays = ''", "days must be like"),
        ("groups = ['7a']\ndays = 5", "days must be like"),
        ("groups = ['7a']\nopens = '7'", 'must be like "07:30"'),
        ("groups = ['7a']\nopens = 7", 'must be like "07:30"'),
        ("groups = ['7a']\ncloses = '25:00'", 'must be like "07:30"'),
        ("groups = ['7a']\nopens = '18:00'\ncloses = '07:00'", "opens must be before closes"),
    ],
)
def test_what_makes_no_sense_is_refused(tmp_path: Path, lines: str, hint: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read(tmp_path, f"[[roster]]\ngroups = ['a']\n\n[[roster]]\n{lines}\n")
    assert hint in str(caught.value)
    assert "[[roster]] 2" in str(caught.value)


def test_a_roster_that_is_no_list_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"write \[\[roster\]\]"):
        read(tmp_path, "[roster]\ngroups = ['7a']\n")


@pytest.mark.parametrize("key", ["opens", "closes"])
@pytest.mark.parametrize("zone", ["Z", "+00:00", "+08:00"])
def test_a_time_with_a_zone_is_refused_by_its_name(tmp_path: Path, key: str, zone: str) -> None:
    text = f'[[roster]]\ngroups = ["a"]\n[[roster]]\ngroups = ["a"]\n{key} = "08:00{zone}"\n'
    with pytest.raises(SettingsError, match=rf"kaimen.toml: \[\[roster\]\] 2 {key} has a zone"):
        read(tmp_path, text)


def test_who_may_enter_together_is_found_over_the_week(tmp_path: Path) -> None:
    roster = read(
        tmp_path,
        """
        [[roster]]
        groups = ["7a"]
        days = "mon-fri"
        opens = "07:00"
        closes = "08:00"

        [[roster]]
        groups = ["7b"]
        days = "mon-fri"
        opens = "07:30"
        closes = "09:00"

        [[roster]]
        groups = ["staff"]
        opens = "08:00"

        [[roster]]
        groups = ["club"]
        days = "sat"
        opens = "10:00"
        """,
    )
    assert groups_at_once(roster) == [{"7a", "7b"}, {"7b", "staff"}, {"club", "staff"}]
    assert groups_at_once(reversed(roster)) == groups_at_once(roster)
    assert groups_at_once(()) == []


@given(
    roster=st.lists(
        st.builds(
            lambda groups, days, hours: Rule(
                tuple(groups),
                tuple(days),
                datetime.time(min(hours)),
                datetime.time(max(hours)),
            ),
            st.sets(st.sampled_from("abcd"), min_size=1),
            st.sets(st.integers(0, 6), min_size=1),
            st.sets(st.integers(0, 23), min_size=2, max_size=2),
        ),
        max_size=5,
    ),
    minutes=st.integers(0, 7 * 24 * 60 - 1),
)
def test_at_every_moment_who_may_enter_is_part_of_one_of_the_sets(
    roster: list[Rule], minutes: int
) -> None:
    now = MONDAY + datetime.timedelta(minutes=minutes)
    may = groups_at(tuple(roster), now)
    sets = groups_at_once(roster)
    assert not may or any(may <= each for each in sets)
    assert not any(one < other for one in sets for other in sets)
