"""Names of students, groups and words: how they are kept, and which are refused.

The same name can be written in several sequences of characters; a Mac's folders have another than
a keyboard's. Names are kept and compared in Unicode's normal form C (UAX 15). ``name_of`` is for
whatever comes in, ``as_kept`` for whatever is looked up.
"""

from __future__ import annotations

import unicodedata

from kaimen.errors import SettingsError

LONGEST = 100  # characters
LOST = "\ufffd"  # stands for what a wrong encoding could not tell
# Of those that show nothing, the two that some scripts are not written without.
JOINERS = "\u200c\u200d"
# Control characters, formats such as the direction of writing, halves of a pair, line breaks.
REFUSED = ("Cc", "Cf", "Cs", "Zl", "Zp")


class UnfitName(SettingsError):
    """A name that nobody can be enrolled under."""


def as_kept(name: str) -> str:
    """Return a name as it is kept, to look it up."""
    return unicodedata.normalize("NFC", name).strip()


def forms_of(name: str) -> list[str]:
    """Return the name as it is kept, and as a Mac's folders gave it to earlier releases."""
    kept = as_kept(name)
    apart = unicodedata.normalize("NFD", kept)
    return [kept] if apart == kept else [kept, apart]


def name_of(given: str, where: str) -> str:
    """Return a new name as it is to be kept. Raises UnfitName, with ``where`` it was given."""
    name = as_kept(given)
    if not name:
        raise UnfitName(f"{where}: a name is empty; write one")
    if len(name) > LONGEST:
        raise UnfitName(
            f"{where}: the name '{printable(name[:20])}…' has {len(name)} characters; "
            f"write at most {LONGEST}"
        )
    for letter in name:
        if letter == LOST or (unicodedata.category(letter) in REFUSED and letter not in JOINERS):
            raise UnfitName(
                f"{where}: the name '{printable(name)}' holds {_called(letter)}; write it without"
            )
    return name


def printable(text: str) -> str:
    """Return a text in one line that changes no terminal; what would is written as Python does."""
    if text.isprintable():
        return text
    return "".join(letter if _shows(letter) else ascii(letter)[1:-1] for letter in text)


def _shows(letter: str) -> bool:
    return letter.isprintable() or letter in JOINERS or unicodedata.category(letter) == "Zs"


def _called(letter: str) -> str:
    if letter == LOST or unicodedata.category(letter) == "Cs":
        return "a character that was read in a wrong encoding"
    usual = {"\n": "a line break", "\r": "a line break", "\t": "a tab"}
    told = usual.get(letter) or unicodedata.name(letter, "a control character").lower()
    return f"{told} (U+{ord(letter):04X})"
