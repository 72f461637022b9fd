"""A card reader writes a student a line, and each line is a claim."""

from __future__ import annotations

from pathlib import Path

from kaimen.gate.card_reader import read_claims


def test_every_line_of_a_reader_is_a_claim(tmp_path: Path) -> None:
    (tmp_path / "reader").write_text("s0001\n\n  王 \n", encoding="utf-8")
    claimed: list[str] = []
    read_claims(tmp_path / "reader", claimed.append).join(30)
    assert claimed == ["s0001", "王"]
