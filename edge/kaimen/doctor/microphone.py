"""The microphone: level, noise floor, rate, overruns; or who else has it."""

from __future__ import annotations

from collections.abc import Iterator

from kaimen.doctor.finding import Finding, Health, Patient, attention, broken, halves, ok
from kaimen.errors import DeviceError
from kaimen.sound import SAMPLE_RATE, Samples
from kaimen.sound.impairments import impairments
from kaimen.sound.loudness import Loudness, listened
from kaimen.sound.microphone import Microphone
from kaimen.sound.played import Played
from kaimen.sound.quality import MOST_CLIPPED, is_voice
from kaimen.sound.recording import said

NOISY = -45.0  # dB of the noise floor, above which a voice some steps away hardly stands out
DEAFENING = -25.0  # dB, above which none does
LEAST_RATE = 8_000  # Hz, below which a voice is not known any more


def check(patient: Patient) -> Iterator[Finding]:
    """Listen for some seconds; nobody need speak."""
    name = patient.settings.sound.microphone
    try:
        source = Played.open(patient.play) if patient.play else Microphone(name or None)
        sound = listened(source, patient.seconds)
    except DeviceError as error:
        yield _not_heard(patient, error)
        return
    found = Loudness.of(sound)
    yield _level(source.name, found)
    yield _floor(found)
    yield from _speech(sound)
    rate = source.rate if isinstance(source, Microphone) else SAMPLE_RATE
    yield _rate(rate, source.overruns, found.seconds)


def _level(name: str, found: Loudness) -> Finding:
    said = f"{name}: level {found.level:.0f} dB, peak {found.peak:.0f} dB"
    measured = {"level": found.level, "peak": found.peak, "clipped": found.clipped}
    if found.mute:
        return broken(
            "microphone", f"{name} is mute", "turn it on, or up with 'alsamixer'", **measured
        )
    if found.too_loud:
        state = Health.BROKEN if found.clipped > MOST_CLIPPED else Health.ATTENTION
        said = f"{said}, {found.clipped:.0%} cut off"
        return Finding("microphone", state, said, "turn it down with 'alsamixer'", measured)
    return ok("microphone", said, **measured)


def _floor(found: Loudness) -> Finding:
    said = f"{found.floor:.0f} dB"
    if found.floor <= NOISY:
        return ok("noise floor", said, floor=found.floor)
    state = Health.BROKEN if found.floor > DEAFENING else Health.ATTENTION
    mend = "move the microphone away from fans and the street, or turn it down if voices are loud"
    said = f"{said}: voices hardly stand out"
    return Finding("noise floor", state, said, mend, {"floor": found.floor})


def _speech(sound: Samples) -> Iterator[Finding]:
    """Yield what costs score in what was said, if anybody spoke."""
    for phrase in said(sound):
        if is_voice(phrase.samples):
            for sentence in impairments(phrase.samples):
                found, mend = halves(sentence)
                yield attention("speech", found, mend)
            return


def _rate(rate: int, overruns: int, seconds: float) -> Finding:
    said = f"{rate / 1000:g} kHz, {overruns} overruns in {seconds:.1f} s"
    measured = {"rate": float(rate), "overruns": float(overruns)}
    if rate < SAMPLE_RATE:
        state = Health.BROKEN if rate < LEAST_RATE else Health.ATTENTION
        return Finding("rate", state, said, "use a microphone of 16 kHz or more", measured)
    if overruns:
        state = Health.BROKEN if overruns > seconds else Health.ATTENTION
        return Finding("rate", state, said, "see with 'top' what keeps the machine busy", measured)
    return ok("rate", said, **measured)


def _not_heard(patient: Patient, error: DeviceError) -> Finding:
    """Tell a microphone that the gate has from one that is broken."""
    holder = held_by(patient)
    if holder is None:
        found, mend = halves(str(error))
        return broken("microphone", found, mend or "check its plug, and 'arecord -l'")
    number, command = holder
    if "kaimen" in command:
        return ok("microphone", f"the gate listens at it (process {number})")
    return attention(
        "microphone",
        f"taken by another program (process {number}: {command[:40]})",
        f"end that one, with 'kill {number}' if need be",
    )


def held_by(patient: Patient) -> tuple[int, str] | None:
    """Process and command line of whoever records by ALSA right now."""
    for status in sorted(patient.root.glob("proc/asound/card*/pcm*c/sub*/status")):
        for line in status.read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "owner_pid":
                number = int(value)
                command = patient.text(f"proc/{number}/cmdline") or ""
                return number, command.replace("\0", " ")
    return None
