"""A table of recordings, as spreadsheets of any language write it: its rows by their columns."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterator
from pathlib import Path

from kaimen.errors import SettingsError

COLUMNS = ("student", "path")
MORE_COLUMNS = ("group", "consent", "guardian")
# What else the columns are called.
CALLED = {
    "name": "student", "姓名": "student", "学生": "student", "學生": "student",
    "file": "path", "recording": "path", "文件": "path", "路径": "path", "录音": "path",
    "班级": "group", "班級": "group", "同意": "consent", "同意至": "consent",
    "监护人": "guardian", "監護人": "guardian",
}  # fmt: skip
MARKS = (  # of bytes in front that say the encoding
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
SEPARATORS = ",;\t"
USUAL = 2 / 3  # of the characters of a text in GBK are of its older and smaller part, GB2312


def rows_of(table: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield rows that are not empty, with the lines they end in. Raises SettingsError."""
    try:
        text = decoded(table.read_bytes(), table)
        yield from _rows(text, table)
    except OSError as error:
        raise SettingsError(f"{table}: cannot be read ({error.strerror})") from None
    except csv.Error as error:
        raise SettingsError(f"{table}: not a CSV file ({error}); export it again") from None


def decoded(content: bytes, where: Path) -> str:
    """Return the text of a table in UTF-8, UTF-16, or GBK (GB18030). Raises SettingsError."""
    for mark, encoding in MARKS:
        if content.startswith(mark):
            try:
                return content.decode(encoding)
            except UnicodeDecodeError as error:
                raise _wrong(where, f"begins as {encoding.upper()} and is not ({error})") from None
    for encoding in ("utf-8", "gb18030"):
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if encoding == "utf-8" or _is_chinese(text):
            return text
    raise _wrong(where, "in an encoding that is neither UTF-8 nor UTF-16 nor GBK")


def _is_chinese(text: str) -> bool:
    """Return whether a text read as GB18030 is one: other encodings look like rare characters."""
    foreign = [letter for letter in text if not letter.isascii()]
    usual = 0
    for letter in foreign:
        first, *rest = letter.encode("gb18030")
        usual += len(rest) == 1 and 0xB0 <= first <= 0xF7 and rest[0] >= 0xA1
    return usual >= USUAL * len(foreign)


def _wrong(where: Path, what: str) -> SettingsError:
    return SettingsError(f"{where}: {what}; save it as 'CSV UTF-8' and try again")


def _rows(text: str, table: Path) -> Iterator[tuple[int, dict[str, str]]]:
    heading = text.partition("\n")[0]
    separator = max(SEPARATORS, key=heading.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    columns = _columns(next(reader, []), table)
    for cells in reader:
        row = [cell.strip() for cell in cells]
        if not any(row):
            continue
        if len(row) < len(columns) or any(row[len(columns) :]):
            raise SettingsError(
                f"{table}, line {reader.line_num}: not {len(columns)} columns; correct it"
            )
        yield reader.line_num, dict(zip(columns, row, strict=False))


def _columns(heading: list[str], table: Path) -> list[str]:
    """Return what the columns are, without empty ones at the end. Raises SettingsError."""
    given = [cell.strip() for cell in heading]
    while given and not given[-1]:
        given.pop()
    columns = [CALLED.get(cell.casefold(), cell.casefold()) for cell in given]
    missing = [name for name in COLUMNS if name not in columns]
    unknown = [name for name in columns if name not in COLUMNS + MORE_COLUMNS]
    if missing or unknown or len(set(columns)) < len(columns):
        raise SettingsError(
            f"{table}: the columns must be student and path, and may be group, consent "
            f"and guardian, not {', '.join(given) or 'none'}"
        )
    return columns
