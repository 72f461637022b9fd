"""Read the audit log: write decisions, read them again, and find a changed line."""

from pathlib import Path
from tempfile import TemporaryDirectory

import kaimen
from kaimen.access.decision import decide
from kaimen.audit import Audit, export, files_of, pseudonym, verify
from kaimen.gallery.match import Match

key = kaimen.Vault().derive("audit")

with TemporaryDirectory() as temporary:
    folder = Path(temporary, "audit")
    with Audit(folder, key) as log:
        for score in (0.32, 0.81):
            decision = decide([Match("s01", score)], threshold=0.6)
            student = decision.student and pseudonym(key, decision.student)
            log.write({"verdict": decision.verdict.value, "score": score, "student": student})
    for record in export(folder, key):
        known = record["student"] == pseudonym(key, "s01")
        print(f"{record['number']}: {record['verdict']} at {record['score']}, s01 let in: {known}")
    print(f"As it was written: {len(verify(folder, key).problems)} problems")

    (file,) = files_of(folder)
    file.write_bytes(file.read_bytes().replace(b'"score":0.32', b'"score":0.92'))
    for problem in verify(folder, key).problems:
        print(f"After a forgery: {problem.place} was {problem.what}")
