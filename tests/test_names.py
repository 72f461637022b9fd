"""Names: one form each, and none that does something to whoever reads it."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaimen.names import LONGEST, UnfitName, as_kept, name_of, printable


@pytest.mark.parametrize(
    "name",
    ["s0001", "王小明", "Ren\u00e9", "O'Neil", "محمد", "Nguyễn Thị Ánh", "a/b", "क्\u200dष", "👩"],
)
def test_a_name_of_any_language_is_taken_as_it_is(name: str) -> None:
    assert name_of(f" {name}\n", "there") == name


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("", "empty"),
        ("\u3000", "empty"),
        ("a\nb", r"'a\\nb' holds a line break"),
        ("a\x1b[2J", r"'a\\x1b\[2J' holds a control character \(U\+001B\)"),
        ("a\u202eb", "right-to-left override"),
        ("a\u200bb", "zero width space"),
        ("a\ufffdb", "wrong encoding"),
        ("a\udc80", r"holds"),
        ("x" * (LONGEST + 1), "has 101 characters"),
    ],
)
def test_a_name_that_nobody_can_have_is_refused_with_its_place(name: str, told: str) -> None:
    with pytest.raises(UnfitName, match=f"^there: .*{told}"):
        name_of(name, "there")


@given(st.text())
def test_however_a_name_is_written_it_is_kept_once(name: str) -> None:
    kept = {as_kept(unicodedata.normalize(form, name)) for form in ("NFC", "NFD")}
    assert kept == {as_kept(name)}
    assert as_kept(as_kept(name)) == as_kept(name)


@given(st.text())
def test_whatever_is_shown_is_one_line_without_control_characters(text: str) -> None:
    shown = printable(text)
    assert not any(unicodedata.category(x) in ("Cc", "Cs", "Zl", "Zp") for x in shown)
    assert not set(shown) & set("\u202a\u202b\u202d\u202e\u2066\u2067\u2068")


@given(st.text().filter(str.isprintable))
def test_what_shows_is_shown_as_it_is(text: str) -> None:
    assert printable(text) == text
