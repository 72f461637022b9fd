"""What the doctor finds is there in Chinese: every text of its code, and texts of two parts."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from kaimen import doctor
from kaimen.doctor.chinese import FINDINGS, told
from kaimen.doctor.examination import GATE, MACHINE
from kaimen.language import texts_of

ROOM = Path(doctor.__file__).parent
PLACE = re.compile(r"\{\w*\}")
FOUND = {"ok": 1, "attention": 1, "broken": 1, "Finding": 2}  # where a call's text stands


def texts() -> Iterator[tuple[str, str]]:
    """Yield what is found and what is to be done where the code says it in place, in one text."""
    for path in ROOM.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            place = FOUND.get(getattr(node.func, "id", ""))
            for each in node.args[place : place + 2] if place else ():
                if isinstance(each, ast.Constant):
                    yield path.name, str(each.value)
                elif isinstance(each, ast.JoinedStr):
                    parts = (
                        it.value if isinstance(it, ast.Constant) else "{}" for it in each.values
                    )
                    yield path.name, "".join(map(str, parts))


FILLED = [
    (name, text)
    for name, text in texts()
    if len(re.findall("[a-z]{2,}", PLACE.sub("", text))) > 2 and not text.startswith("sudo ")
]


@pytest.mark.parametrize(("name", "text"), FILLED, ids=[text[:60] for _, text in FILLED])
def test_no_text_of_the_doctor_is_left_in_english(name: str, text: str) -> None:
    # A place at the end may be empty, such as one for "(and 3 more)".
    filled = {PLACE.sub("17", text), PLACE.sub("17", text.removesuffix("{}"))}
    assert any(told("door", each, "")[1] != each for each in filled), f"{name}: {text}"


def test_every_line_has_a_chinese_name() -> None:
    names = {
        node.args[0].value
        for path in ROOM.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and getattr(node.func, "id", "") in FOUND
        and node.args
        and isinstance(node.args[0], ast.Constant)
    }
    assert {*names, *GATE, *MACHINE, "settings"} - texts_of(FINDINGS).keys() == set()


def test_both_languages_have_the_same_places() -> None:
    for english, chinese in texts_of(FINDINGS).items():
        assert sorted(PLACE.findall(english)) == sorted(PLACE.findall(chinese)), english


@pytest.mark.parametrize(
    ("finding", "chinese"),
    [
        (
            ("gallery", "/srv/g.sqlite: nobody is enrolled", "begin with 'kaimen enroll'"),
            ("声纹库", "/srv/g.sqlite：还没有登记任何人", "请先运行 'kaimen enroll'"),
        ),
        (
            ("pins", "relay 17, contact 5; pinctrl-rp1 (gpiochip0)", ""),
            ("引脚", "继电器 17，门磁 5；pinctrl-rp1 (gpiochip0)", ""),
        ),
        (
            ("speed", "a decision takes longer than its phrase (2.1 s)",
             "see 'top' for what else runs, and the line on power; a Pi 3 or a Zero 2 W is fast "
             "enough"),
            ("速度", "一次判断比口令本身还长（2.1 秒）",
             "请用 'top' 查看还有什么在运行，并看供电一行；树莓派 3 或 Zero 2 W 足够快"),
        ),
        (("kaimen-gate", "not written", "sudo x"), ("kaimen-gate", "not written", "sudo x")),
    ],
)  # fmt: skip
def test_a_finding_keeps_its_values(
    finding: tuple[str, str, str], chinese: tuple[str, str, str]
) -> None:
    assert told(*finding) == chinese
