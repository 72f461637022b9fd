"""The key: without it nobody is known, and with it everybody's voiceprints are."""

from __future__ import annotations

from collections.abc import Iterator

from kaimen.doctor.finding import Finding, Patient, attention, broken, ok, require_readable
from kaimen.registry.vault import Vault


def check(patient: Patient) -> Iterator[Finding]:
    """Tell whether it is there, whole, its owner's alone and elsewhere than what it opens.

    Raises GalleryError and PermissionError.
    """
    gallery = patient.settings.gallery
    path = gallery.key_file
    if not path.exists() and not gallery.file.exists():
        yield attention("key", "none yet", "the first 'kaimen enroll' makes one; keep a copy of it")
        return
    require_readable(path)
    vault = Vault.load(path)
    mode = path.stat().st_mode & 0o777
    if mode & 0o077:
        yield broken("key", f"{path}: others may read it (mode {mode:o})", f"chmod 600 {path}")
    elif path.parent.resolve() == gallery.file.parent.resolve():
        yield attention(
            "key",
            f"{path}: in the folder of the voiceprints it opens",
            "move it elsewhere, and set [gallery] key",
        )
    else:
        yield ok("key", f"{path}: whole, its owner's alone ({vault.identity})")
