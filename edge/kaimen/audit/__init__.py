"""What the gate decided: an append-only log, a chain of lines that nobody changes unnoticed.

A line is a JSON object. Its last field is a keyed hash (HMAC-SHA256) of all its bytes before, and
among these is the hash of the line before it, so no line can be changed, left out, added or moved
by somebody without the key. The **head**, a small file beside the log, holds the latest lines:
each is written there first, so that neither a pulled plug nor a full disk tears the log, and so
that its end cannot be cut off.

``chain`` knows how lines hang together, ``head`` keeps the latest, ``writing`` appends them,
``reading`` verifies, exports and copies them, ``following`` gives each as it is written, and
``records`` says what is in a line.
"""

from kaimen.audit.chain import Record, files_of
from kaimen.audit.following import Cursor, Follower, id_of
from kaimen.audit.reading import Problem, Report, copy, export, latest, noted, since, verify
from kaimen.audit.records import grown_record, pin_record_of, record_of
from kaimen.audit.waiting import write_waiting
from kaimen.audit.writing import KEPT, LARGEST, Audit
from kaimen.registry.pseudonyms import pseudonym, pseudonyms

__all__ = [
    "KEPT",
    "LARGEST",
    "Audit",
    "Cursor",
    "Follower",
    "Problem",
    "Record",
    "Report",
    "copy",
    "export",
    "files_of",
    "grown_record",
    "id_of",
    "latest",
    "noted",
    "pin_record_of",
    "pseudonym",
    "pseudonyms",
    "record_of",
    "since",
    "verify",
    "write_waiting",
]
