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
    if (both := in_chinese(whole, SENTENCES)) != whole:  # an error says both in one sentence
        found, _, mend = both.partition("；")
    return in_chinese(name, FINDINGS), sentence(found), sentence(mend)


def sentence(english: str) -> str:
    """Return an error, or what a gate tells of itself, in Chinese: whole, or part by part.

    A part that no catalogue has stays English.
    """
    said = in_chinese(english, FINDINGS, SENTENCES)
    for between, chinese in (("; ", "；"), (", ", "，")):
        if said == english and between in english:
            said = chinese.join(sentence(each) for each in english.split(between))
    return said
