"""The registry's tables, by the steps that bring a file of any earlier Kaimen up to date."""

from __future__ import annotations

CHANGES = {  # tables, and whose a row of each is
    "students": "{row}.number",
    "recordings": "{row}.student",
    "points": "(SELECT student FROM recordings WHERE number = {row}.recording)",
    "grown": "{row}.student",
}
EVENTS = (("INSERT", "NEW"), ("UPDATE", "NEW"), ("DELETE", "OLD"))

# A conflict clause of the statement that fires a trigger holds in it, too: none may be needed.
_TRIGGER = """
    CREATE TRIGGER {table}_{event} AFTER {event} ON {table} BEGIN
        DELETE FROM journal WHERE student = {student};
        INSERT INTO journal (student) SELECT number FROM students WHERE number = {student};
    END;
"""
JOURNAL = """
    CREATE TABLE journal (
        number INTEGER PRIMARY KEY AUTOINCREMENT,  -- never used twice
        student INTEGER NOT NULL UNIQUE REFERENCES students ON DELETE CASCADE
    );
""" + "".join(
    _TRIGGER.format(table=table, event=event, student=student.format(row=row))
    for table, student in CHANGES.items()
    for event, row in EVENTS
)

# Each brings the schema from one version to the next; what was released is never edited.
MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE vault (identity TEXT NOT NULL);
    CREATE TABLE students (
        number INTEGER PRIMARY KEY AUTOINCREMENT,  -- never given to another
        name TEXT NOT NULL UNIQUE,
        class TEXT NOT NULL DEFAULT '',  -- the group: a word that SQL keeps for itself
        consent TEXT,  -- the day it ends, ISO 8601, or NULL: until it is withdrawn
        enrolled TEXT NOT NULL,  -- when, UTC
        encoder TEXT NOT NULL  -- by which encoder's identity
    );
    CREATE TABLE recordings (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        student INTEGER NOT NULL REFERENCES students ON DELETE CASCADE,
        source TEXT NOT NULL,  -- SHA-256 of the file it was made from, empty if unknown
        voiceprint BLOB NOT NULL  -- sealed
    );
    CREATE INDEX recordings_of ON recordings (student);
    CREATE TABLE refused (
        student TEXT NOT NULL,  -- a name: they may not be enrolled
        source TEXT NOT NULL,  -- SHA-256 of the file
        rules TEXT NOT NULL,  -- by which it was refused
        kind TEXT NOT NULL,
        reason TEXT NOT NULL
    );
    CREATE INDEX refused_of ON refused (student);
    """,
    """
    ALTER TABLE recordings ADD COLUMN word TEXT NOT NULL DEFAULT '';  -- empty: the passphrase
    ALTER TABLE recordings ADD COLUMN said BLOB;  -- sealed, or NULL: enrolled without
    ALTER TABLE recordings ADD COLUMN said_by TEXT NOT NULL DEFAULT '';  -- a phrase encoder
    ALTER TABLE recordings ADD COLUMN fingerprint BLOB;  -- sealed, or NULL
    """,
    """
    CREATE TABLE erased (student TEXT PRIMARY KEY) WITHOUT ROWID;  -- keyed hashes of names
    """,
    """
    CREATE TABLE points (  -- what other models than its student's made of a recording
        recording INTEGER NOT NULL REFERENCES recordings ON DELETE CASCADE,
        model TEXT NOT NULL,  -- identity of an encoder, or of a phrase encoder
        sealed BLOB NOT NULL,
        PRIMARY KEY (recording, model)
    );
    ALTER TABLE vault ADD COLUMN encoder TEXT NOT NULL DEFAULT '';  -- by which the first enrolled
    UPDATE vault SET encoder =
        coalesce((SELECT encoder FROM students ORDER BY number LIMIT 1), '');
    """,
    """
    CREATE TABLE renamed (  -- students whose name was another's, written in other characters
        student INTEGER PRIMARY KEY REFERENCES students ON DELETE CASCADE,
        name TEXT NOT NULL  -- that both had
    );
    """,
    """
    ALTER TABLE vault ADD COLUMN registry TEXT NOT NULL DEFAULT '';  -- which one it is
    ALTER TABLE vault ADD COLUMN changes INTEGER NOT NULL DEFAULT 0;  -- transactions so far
    ALTER TABLE vault ADD COLUMN total BLOB NOT NULL DEFAULT x'';  -- of all students' seals
    ALTER TABLE vault ADD COLUMN seal BLOB NOT NULL DEFAULT x'';  -- of the three
    ALTER TABLE students ADD COLUMN seal BLOB NOT NULL DEFAULT x'';  -- of a row, see seals.py
    """,
    """
    ALTER TABLE recordings ADD COLUMN highest REAL;  -- Hz of its speech, or NULL: not measured
    """,
    """
    ALTER TABLE vault ADD COLUMN rotated INTEGER NOT NULL DEFAULT 0;  -- see rotation.py
    CREATE TABLE consents (  -- the ledger: who consented, for what, until when
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        student INTEGER NOT NULL REFERENCES students ON DELETE CASCADE,
        sealed BLOB NOT NULL
    );
    CREATE INDEX consents_of ON consents (student);
    CREATE TABLE pins (  -- of students who may enter by a card and a number
        student INTEGER PRIMARY KEY REFERENCES students ON DELETE CASCADE,
        sealed BLOB NOT NULL
    );
    CREATE TABLE events (  -- what the log is still to be told
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        sealed BLOB NOT NULL
    );
    CREATE TABLE erasing (  -- who is being erased: an interrupted one goes on
        identity TEXT PRIMARY KEY,
        sealed BLOB NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE backups (  -- that were taken, and still hold who was enrolled then
        identity TEXT PRIMARY KEY,
        at TEXT NOT NULL,  -- when, UTC
        place TEXT NOT NULL
    ) WITHOUT ROWID;
    """,
    """
    CREATE TABLE grown (  -- voiceprints of phrases at the gate, taken in beside the enrolled ones
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        student INTEGER NOT NULL REFERENCES students ON DELETE CASCADE,
        encoder TEXT NOT NULL,  -- by which encoder's identity
        at TEXT NOT NULL,  -- when, UTC
        voiceprint BLOB NOT NULL  -- sealed
    );
    CREATE INDEX grown_of ON grown (student);
    """,
    JOURNAL,
)
NAMES_KEPT = 5  # the version from which on names are in the form they are kept in
SEALED = 6  # the same, for rows that are sealed
