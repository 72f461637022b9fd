"""Questions at a Chinese terminal: shown in Chinese, answered in either language."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest
from rich.console import Console

from kaimen import language
from kaimen.setup.dialogue import Dialogue
from kaimen.setup.questions import CONTACT, NOT_WIRED


@pytest.fixture
def chinese() -> Iterator[None]:
    language.choose(language.CHINESE)
    yield
    language.choose(language.ENGLISH)


@pytest.mark.parametrize("answer", ["否", "no", "n", ""])
def test_an_answer_in_either_language_is_the_same_word(chinese: None, answer: str) -> None:
    shown = io.StringIO()
    dialogue = Dialogue(Console(file=shown, markup=False, width=200), io.StringIO(f"{answer}\n"))
    assert dialogue.choose("对吗？", "no", "yes", explained="") == "no"
    assert "对吗？ (no 否/yes 是) [no 否]: " in shown.getvalue()


def test_a_wrong_answer_is_told_in_chinese_and_asked_again(chinese: None) -> None:
    shown = io.StringIO()
    dialogue = Dialogue(Console(file=shown, width=200), io.StringIO("门\n无\n"))
    found = dialogue.ask("门磁", CONTACT.read, default="none", explained="")
    assert found == NOT_WIRED
    assert "✗ '门' 不是引脚；请答 0 到 27 的 BCM 编号" in shown.getvalue()
