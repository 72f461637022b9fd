"""Who is to be enrolled: folders and tables, and what is said of those that cannot be read."""

from __future__ import annotations

import datetime
import os
from pathlib import Path

import pytest

from kaimen.enrollment.entries import Entry, entries_in
from kaimen.errors import SettingsError


def table(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    path = folder / "school.csv"
    path.write_text(text, encoding=encoding)
    return path


def test_a_folder_a_student_and_nothing_but_recordings(tmp_path: Path) -> None:
    for name in ("李/2.flac", "李/1.MP3", "李/notes.txt", "anna/a.wav", ".cache/x.mp3", "x.mp3"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    assert entries_in(tmp_path) == [
        Entry("anna", (tmp_path / "anna/a.wav",)),
        Entry("李", (tmp_path / "李/1.MP3", tmp_path / "李/2.flac")),
    ]


def test_a_student_without_recordings_is_not_passed_over(tmp_path: Path) -> None:
    (tmp_path / "anna").mkdir()
    (tmp_path / "bo").mkdir()
    (tmp_path / "bo" / "1.mp3").touch()
    assert [entry.student for entry in entries_in(tmp_path)] == ["anna", "bo"]


def test_a_table_says_group_and_consent_and_its_paths_are_beside_it(tmp_path: Path) -> None:
    path = table(
        tmp_path,
        "student,path,group,consent\n"
        "anna,a/1.mp3,7b,2027-07-31\n"
        "bo,b.wav,,\n"
        "anna,a/2.mp3,7b,2027-07-31\n",
    )
    assert entries_in(path) == [
        Entry(
            "anna",
            (tmp_path / "a/1.mp3", tmp_path / "a/2.mp3"),
            "7b",
            datetime.date(2027, 7, 31),
        ),
        Entry("bo", (tmp_path / "b.wav",), None, None),
    ]


def test_a_table_as_spreadsheets_write_it(tmp_path: Path) -> None:
    path = table(tmp_path, "path;student\r\na, b.mp3;李\r\n", "utf-8-sig")
    assert entries_in(path) == [Entry("李", (tmp_path / "a, b.mp3",))]


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("", "the columns must be"),
        ("name,path\na,b.mp3\n", "the columns must be"),
        ("student,path,class\na,b.mp3,7b\n", "the columns must be"),
        ("student,path,path\na,b.mp3,c.mp3\n", "the columns must be"),
        ("student,path\n", "no rows"),
        ("student,path\na\n", "line 2: not 2 columns"),
        ("student,path\na,b.mp3,c\n", "line 2: not 2 columns"),
        ("student,path\n,b.mp3\n", "line 2: no student"),
        ("student,path\na,\n", "line 2: no path"),
        ("student,path\na,b.mp3\nc,b.mp3\n", "line 3: b.mp3 is given twice"),
        ("student,path,consent\na,b.mp3,31.7.2027\n", "line 2: 31.7.2027 is no day"),
        ("student,path,group\na,b.mp3,x\na,c.mp3,y\n", "line 3: a has another group"),
        ('student,path\na,"b.mp3\n', "not a CSV file"),
    ],
)
def test_a_table_that_is_wrong_is_refused_by_its_line(text: str, hint: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as raised:
        entries_in(table(tmp_path, text))
    assert hint in str(raised.value) and "school.csv" in str(raised.value)


def test_a_table_in_another_encoding_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="UTF-8"):
        entries_in(table(tmp_path, "student,path\nJörg,b.mp3\n", "latin-1"))


def test_a_folder_whose_name_cannot_be_stored_is_named(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"J\xf6rg")).mkdir()
    with pytest.raises(SettingsError, match="rename") as raised:
        entries_in(tmp_path)
    str(raised.value).encode()  # it can be shown


def test_files_of_every_known_format_are_recordings(tmp_path: Path) -> None:
    (tmp_path / "li").mkdir()
    for name in ("1.m4a", "2.AMR", "3.webm", "4.opus", "5.mp3", "6.3gp", "notes.txt"):
        (tmp_path / "li" / name).touch()
    (entry,) = entries_in(tmp_path)
    assert [file.name for file in entry.files] == [
        "1.m4a", "2.AMR", "3.webm", "4.opus", "5.mp3", "6.3gp",
    ]  # fmt: skip


@pytest.mark.parametrize("make", ["nothing", "empty"])
def test_where_nobody_is_there_is_nobody_to_enroll(make: str, tmp_path: Path) -> None:
    place = tmp_path / "school"
    if make == "empty":
        place.mkdir()
    with pytest.raises(SettingsError, match="school"):
        entries_in(place)


def test_a_folder_in_a_students_is_a_word_of_theirs(tmp_path: Path) -> None:
    for path in (
        "li/1.mp3",
        "li/北京/1.mp3",
        "li/北京/2.mp3",
        "li/notes/read.txt",
        "li/.trash/1.mp3",
    ):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    phrase, word = entries_in(tmp_path)
    assert (phrase.student, phrase.word, len(phrase.files)) == ("li", "", 1)
    assert (word.student, word.word, len(word.files)) == ("li", "北京", 2)
