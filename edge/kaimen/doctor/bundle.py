"""Bundles: which one is active, whose are taken, and how the last one fared."""

from __future__ import annotations

from collections.abc import Iterator

from kaimen.doctor.finding import Finding, Patient, ok


def check(patient: Patient) -> Iterator[Finding]:
    """Tell whether what is active is as it was signed. Raises BundleError and SettingsError."""
    if patient.settings.encoder.path:
        yield ok("bundle", "none: [encoder] path names an encoder")
        return
    slots = patient.installation.slots
    state = slots.state()
    slots.encoder()  # whatever was changed since is an error
    said = "what ships with the program"
    if state.active is not None:
        manifest = slots.opened(state.active, state).manifest
        said = f"{manifest.name}, version {manifest.version}"
    if state.trial is not None:
        said = f"{said}; another one is on trial beside it"
    elif state.said:
        said = f"{said}; of the last one: {state.said}"
    yield ok("bundle", said, highest=float(state.highest))
