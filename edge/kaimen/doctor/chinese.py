"""What the doctor finds, in Chinese: a line's name, what was found, and what to do.

Findings are English until a person sees them, so that a report and a program have the same in every
language. Commands, paths and names stay as they are.
"""

from __future__ import annotations

from pathlib import Path

from kaimen.language import SENTENCES, in_chinese

FINDINGS = Path(__file__).with_suffix(".toml")


def told(name: str, found: str, mend: str) -> tuple[str, str, str]:
    """Return a finding's texts in Chinese; a part that no catalogue has stays English."""
    whole = f"{found}; {mend}"
    if (sentence := in_chinese(whole, SENTENCES)) != whole:  # an error says both in one sentence
        found, _, mend = sentence.partition("；")
    return in_chinese(name, FINDINGS), _parts(found), _parts(mend)


def _parts(text: str) -> str:
    """Return a text in Chinese, as a whole or each part of it by itself."""
    told = in_chinese(text, FINDINGS, SENTENCES)
    for english, chinese in (("; ", "；"), (", ", "，")):
        if told == text and english in text:
            told = chinese.join(_parts(each) for each in text.split(english))
    return told
