"""What a student is called where no name may be: in the log."""

from __future__ import annotations

import hmac

from kaimen.names import forms_of

SHORT = 16  # characters of a hash that only tells apart


def pseudonym(key: bytes, student: str) -> str:
    """Return what a student is called in the log: nobody finds out who it is without the key.

    64 bits tell 20,000 students apart with a chance of one in 10^11 of confusing any two.
    """
    return pseudonyms(key, student)[0]


def pseudonyms(key: bytes, student: str) -> list[str]:
    """Return the same, and what a student may have been called by earlier releases."""
    return [
        hmac.digest(key, f"student {form}".encode(), "sha256").hex()[:SHORT]
        for form in forms_of(student)
    ]
