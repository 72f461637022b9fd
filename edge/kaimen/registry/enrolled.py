"""By which of the encoders that come along a school is enrolled, read without its key."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from kaimen.registry.database import PATIENCE
from kaimen.registry.opening import open_file
from kaimen.registry.sqlite_errors import as_error
from kaimen.settings.encoder import ENCODERS
from kaimen.voice.encoder import Card


def enrolled(registry: Path) -> dict[str, int]:
    """Return how many students each model enrolled;

    Raises GalleryError and StorageError where there is a registry that cannot be read, and
    EncoderError.
    """
    cards = {name: Card.read(path.with_suffix(".json")) for name, path in ENCODERS.items()}
    students: dict[str, int] = {}
    try:
        if registry.exists():
            with closing(open_file(registry, (), PATIENCE).connection) as database:
                students = dict(
                    database.execute("SELECT encoder, count(*) FROM students GROUP BY encoder")
                )
    except (OSError, sqlite3.Error) as error:
        raise as_error(error, registry) from None
    return {name: students.get(card.sha256, 0) for name, card in cards.items()}
