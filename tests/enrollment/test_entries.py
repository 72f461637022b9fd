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
        ("who,path\na,b.mp3\n", "the columns must be"),
        ("student,path,class\na,b.mp3,7b\n", "the columns must be"),
        ("student,path,path\na,b.mp3,c.mp3\n", "the columns must be"),
        ("student,path\n", "no rows"),
        ("student,path\na\n", "line 2: not 2 columns"),
        ("student,path\na,b.mp3,c\n", "line 2: not 2 columns"),
        ("student,path\n,b.mp3\n", "line 2: no student"),
        ("student,path\na,\n", "line 2: no path"),
        ("student,path\na\tb,b.mp3\n", "line 2: the name 'a\\tb' holds a tab"),
        ("student,path,group\na,b.mp3,7\x1b[2J\n", "line 2: the name '7\\x1b[2J' holds"),
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


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gbk", "gb18030"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_table_of_a_chinese_spreadsheet_is_read(
    encoding: str, separator: str, tmp_path: Path
) -> None:
    text = " NAME;Path ;班级;Consent\r\n王小明;王/1.mp3;七年级;2027/7/31\r\n;;;\r\n朱镕;b.mp3;;\r\n"
    path = table(tmp_path, text.replace(";", separator), encoding)
    assert entries_in(path) == [
        Entry("王小明", (tmp_path / "王/1.mp3",), "七年级", datetime.date(2027, 7, 31)),
        Entry("朱镕", (tmp_path / "b.mp3",)),
    ]


@pytest.mark.parametrize(
    ("name", "encoding"), [("Andréa", "cp1252"), ("陳大文", "big5"), ("山田太郎", "shift-jis")]
)
def test_a_table_in_an_encoding_that_cannot_be_told_is_refused(
    name: str, encoding: str, tmp_path: Path
) -> None:
    with pytest.raises(SettingsError, match="UTF-8 nor UTF-16 nor GBK; save it as 'CSV UTF-8'"):
        entries_in(table(tmp_path, f"student,path\n{name},b.mp3\n", encoding))


def test_a_table_that_is_not_there_is_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none\.csv: no such file or folder"):
        entries_in(tmp_path / "none.csv")


def test_what_computers_leave_behind_is_no_recording_and_nobody(tmp_path: Path) -> None:
    for name in (
        "anna/1.mp3",
        "anna/._1.mp3",
        "anna/.DS_Store",
        "anna/Thumbs.db",
        "anna/desktop.ini",
        "anna/__MACOSX/1.mp3",
        "__MACOSX/anna/._1.mp3",
        "@eaDir/1.mp3",
        "$RECYCLE.BIN/x.mp3",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"\0\5\x16\7")
    assert entries_in(tmp_path) == [Entry("anna", (tmp_path / "anna/1.mp3",))]


def test_a_name_from_a_mac_is_the_one_that_a_keyboard_writes(tmp_path: Path) -> None:
    for path in ("Rene\u0301/1.mp3", "Rene\u0301/Caf\u0065\u0301/1.mp3"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    phrase, word = entries_in(tmp_path)
    assert (phrase.student, word.word) == ("Ren\u00e9", "Caf\u00e9")
    assert phrase.files[0].exists()
    listed = table(tmp_path, "student,path\nRen\u00e9,Ren\u00e9/1.mp3\n")
    assert entries_in(listed) == [phrase]


def test_two_folders_of_one_name_are_said(tmp_path: Path) -> None:
    for name in ("Rene\u0301", "Ren\u00e9"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.mp3").touch()
    with pytest.raises(SettingsError, match="the same name in other characters"):
        entries_in(tmp_path)


@pytest.mark.parametrize("name", ["a\nb", "a\x1b[2J", "a\u202eb", "\u200b", "x" * 101, " "])
def test_a_folder_whose_name_nobody_can_have_is_refused_in_one_line(
    name: str, tmp_path: Path
) -> None:
    (tmp_path / name).mkdir()
    with pytest.raises(SettingsError) as raised:
        entries_in(tmp_path)
    assert str(raised.value).isprintable()


def test_a_folder_whose_name_cannot_be_stored_is_named(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"J\xf6rg")).mkdir()
    with pytest.raises(SettingsError, match="wrong encoding") as raised:
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


def test_a_table_may_say_which_guardian_consented(tmp_path: Path) -> None:
    table = tmp_path / "school.csv"
    table.write_text(
        "学生,录音,同意至,监护人\n李,a.wav,2027-07-31,李娜\n李,b.wav,2027-07-31,李娜\n",
        encoding="utf-8",
    )
    (entry,) = entries_in(table)
    assert (entry.guardian, len(entry.files)) == ("李娜", 2)
    table.write_text("student,path,guardian\nLi,a.wav,Li Na\n", encoding="utf-8")
    with pytest.raises(SettingsError, match="no day until when"):
        entries_in(table)
    table.write_text(
        "student,path,consent,guardian\nLi,a.wav,2027-07-31,Li Na\nLi,b.wav,2027-07-31,Wu\n",
        encoding="utf-8",
    )
    with pytest.raises(SettingsError, match="guardian above"):
        entries_in(table)
