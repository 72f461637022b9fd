"""How well students are known by recordings and microphones that are not as they should be.

A school of each corpus says one phrase of three words; a student's first takes, five at most,
enroll, the others come to the gate. *Impairments*: what comes is changed, and the loss of its score
counts. *Formats*: what enrolls is coded, and read again as ``kaimen enroll`` does; what comes is a
WAV. FNIR is at the threshold that the school itself gives, calibrated as at a gate.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from kaimen.calibration.learning import calibrate_points
from kaimen.errors import SettingsError
from kaimen.sound import SAMPLE_RATE, Samples
from kaimen.sound.bandwidth import band_of_most, highest_speech
from kaimen.sound.gain_steps import has_gain_step
from kaimen.sound.high_pass import HighPass
from kaimen.sound.impairments import GAPS, gap_share
from kaimen.sound.impairments import impairments as remarks
from kaimen.sound.recording import read
from kaimen.voice.encoder import Encoder
from kaimen.voice.score import score_of
from kaimen.voice.utterance import Utterance
from kaimen_train.data.corpus import MANIFEST_PAGE, Row, phrase_in
from kaimen_train.evaluation import amr, gate_phrases
from kaimen_train.evaluation.evaluate import EvalSpeech
from kaimen_train.progress import track

CORPORA = ("commands", "mandarin20")
WORDS = "3"
ENROLLED = 5  # takes, at most
LEVEL = -26.0  # dB, root mean square of a phrase before it is changed
AROUND = 0.3  # seconds of a quiet room before and after
ROOM = -75.0  # dB
LATER, LOWER = 0.0005, 0.7  # of the second channel: seconds, and its height
FPIR = 0.01
RATES = (8_000, 11_025, 16_000, 44_100, 48_000)
HEARD = (16_000, 48_000)
CODED = {
    "WAV": ("wav",),
    "MP3 64": ("mp3", "-b:a", "64k"),
    "M4A": ("m4a", "-b:a", "64k"),
    "Opus": ("opus", "-b:a", "32k", "-ar", "48000"),  # Opus knows no 11 and 44.1 kHz
}
RATE, STEREO, MONO = 48_000, 2, 1
BIT_RATES = {  # of an MP3, and how many channels it is tried with, at RATE
    "MP3 32": (MONO, ("mp3", "-b:a", "32k")),
    "MP3 64, no joint stereo": (STEREO, ("mp3", "-b:a", "64k", "-joint_stereo", "0")),
    "MP3 96": (STEREO, ("mp3", "-b:a", "96k")),
    "MP3 128": (STEREO, ("mp3", "-b:a", "128k")),
}
AMR = "AMR"
RECORDINGS = 300  # of a corpus, at most, in which a gain that jumps is looked for

Points = NDArray[np.float32]
Change = Callable[[Samples], Samples]


@dataclass(frozen=True)
class SpokenSchool:
    """Phrases of a corpus by student: those that enroll, and those that come."""

    corpus: str
    enrolled: dict[str, list[Samples]]
    probes: dict[str, list[Samples]]


def schools(rows: Sequence[Row]) -> list[SpokenSchool]:
    """Return a school of each corpus there is: the phrase that most say, in a quiet room."""
    chosen = [row for row in rows if row.split == "eval" and row.corpus in CORPORA]
    if not chosen:
        raise SettingsError(
            f"the manifest has no eval rows of {', '.join(CORPORA)}; see {MANIFEST_PAGE}"
        )
    found = []
    for each in gate_phrases.hear(chosen, EvalSpeech({}, {}, [], []))[0]:
        if each.length != WORDS:
            continue
        texts = [text for text, _, _ in each.names]
        most = max(sorted(set(texts)), key=texts.count)
        takes: dict[str, list[Samples]] = defaultdict(list)
        said = sorted(zip(each.names, each.sounds, strict=True), key=lambda one: one[0])
        for (text, speaker, _), sound in said:
            if text == most:
                takes[speaker].append(_levelled(sound))
        school = SpokenSchool(each.corpus, {}, {})
        for name, own in takes.items():
            if len(own) > 1:
                end = min(ENROLLED, len(own) - 1)
                school.enrolled[name], school.probes[name] = own[:end], own[end:]
        found.append(school)
    return found


def _levelled(sound: Samples) -> Samples:
    level = float(np.sqrt(np.mean(np.square(sound, dtype=np.float64))))
    return np.asarray(np.float32(10 ** (LEVEL / 20) / max(level, 1e-6)) * sound, np.float32)


# What a microphone does to a phrase. All of it is 16 bits at last.


def gain(decibels: float) -> Change:
    """Return what turns a phrase up; what is too loud is cut off."""
    return lambda sound: sound * np.float32(10 ** (decibels / 20))


def steps(decibels: float, seconds: float = 0.3) -> Change:
    """Return what turns a phrase down and up again, as an automatic gain that hunts."""

    def stepped(sound: Samples) -> Samples:
        down = np.arange(len(sound)) // round(seconds * SAMPLE_RATE) % 2
        return sound * np.where(down, 10 ** (-decibels / 20), 1).astype(np.float32)

    return stepped


def gaps(gap: float, every: float) -> Change:
    """Return what cuts silence into a phrase, as an echo canceller does; both in seconds."""

    def cut(sound: Samples) -> Samples:
        at = np.arange(len(sound)) / SAMPLE_RATE % every
        return np.where(at < every - gap, sound, np.float32(0))

    return cut


STEPS: dict[str, Change] = {
    "as it is": gain(0),
    "6 dB": steps(6),
    "12 dB": steps(12),
    "20 dB": steps(20),
}
IMPAIRMENTS: dict[str, Change] = {
    "-20 dB": gain(-20),
    "-30 dB": gain(-30),
    "-40 dB": gain(-40),
    "+12 dB, cut off": gain(12),
    "+18 dB, cut off": gain(18),
    "+24 dB, cut off": gain(24),
    "AGC, steps of 6 dB": steps(6),
    "AGC, steps of 12 dB": steps(12),
    "AGC, steps of 20 dB": steps(20),
    "gaps, 40 of 400 ms": gaps(0.04, 0.4),
    "gaps, 100 of 500 ms": gaps(0.1, 0.5),
    "gaps, 60 of 240 ms": gaps(0.06, 0.24),
}


def in_16_bits(sound: Samples) -> Samples:
    """Return a sound as a recorder of 16 bits keeps it, and as it is read again."""
    whole = np.clip(np.round(sound * 32_768), -32_768, 32_767)
    return HighPass(SAMPLE_RATE)((whole / 32_768).astype(np.float32))


def impairments(school: SpokenSchool, encoder: Encoder) -> Iterator[dict[str, Any]]:
    """Yield the loss of score by each impairment of what comes to the gate."""
    known = {name: _points(own, encoder) for name, own in school.enrolled.items()}
    threshold = _threshold(known, encoder)

    clean = np.zeros(0, np.float32)
    for name, change in {"as it is": gain(0), **IMPAIRMENTS}.items():
        changed = {
            student: [in_16_bits(change(each)) for each in own]
            for student, own in school.probes.items()
        }
        found = np.concatenate(
            [score_of(known[student], _points(own, encoder)) for student, own in changed.items()]
        )
        clean = clean if len(clean) else found
        yield {
            "corpus": school.corpus,
            "impairment": name,
            "probes": len(found),
            "loss": float(np.mean(clean - found)),
            "loss_of_one_in_ten": float(np.quantile(clean - found, 0.9)),
            "fnir": float(np.mean(found < threshold)),
            "named": float(np.mean([bool(remarks(x)) for own in changed.values() for x in own])),
        }


def gain_steps(rows: Sequence[Row]) -> Iterator[dict[str, Any]]:
    """Yield the share of recordings of each corpus whose gain is said to jump, by its steps.

    And of those that are said to have gaps as they are.
    """
    sounds: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if row.split == "eval" and row.speaker:
            sounds[row.corpus].append(row)
    for corpus, own in sounds.items():
        some = own[:: max(1, len(own) // RECORDINGS)][:RECORDINGS]
        phrases = [
            _levelled(phrase_in(read(row.file)))
            for row in track(some, f"looking for gain steps in {corpus}")
        ]
        yield {
            "corpus": corpus,
            "recordings": len(phrases),
            **{
                name: float(np.mean([has_gain_step(in_16_bits(change(x))) for x in phrases]))
                for name, change in STEPS.items()
            },
            "gaps, as it is": float(np.mean([gap_share(x) >= GAPS for x in phrases])),
        }


def formats(school: SpokenSchool, encoder: Encoder) -> Iterator[dict[str, Any]]:
    """Yield FNIR for each way to record a school and each rate that it is heard at."""
    heard = {
        rate: {
            name: [phrase_in(each) for each in _coded(own, rate, 1, "WAV")]
            for name, own in school.probes.items()
        }
        for rate in HEARD
    }
    ways = [
        (rate, channels, form) for rate in RATES for form in CODED for channels in (MONO, STEREO)
    ]
    ways += [(RATE, channels, form) for form, (channels, _) in BIT_RATES.items()]
    ways.append((amr.RATE, MONO, AMR))  # of one rate and one channel
    probed: dict[tuple[int, int | None], dict[str, Points]] = {}
    for rate, channels, form in track(ways, f"recording {school.corpus}"):
        read_again = {
            name: [phrase_in(each) for each in _coded(own, rate, channels, form)]
            for name, own in school.enrolled.items()
        }
        band = band_of_most([highest_speech(x) for own in read_again.values() for x in own])
        known = {name: _points(own, encoder) for name, own in read_again.items()}
        threshold = _threshold(known, encoder)
        found: dict[str, Any] = {
            "corpus": school.corpus,
            "rate": rate,
            "channels": channels,
            "form": form,
            "band": band,
            "threshold": threshold,
        }
        for at in HEARD:
            if (at, band) not in probed:
                probed[at, band] = {
                    name: _points(own, encoder, band) for name, own in heard[at].items()
                }
            missed = _missed(known, probed[at, band], threshold)
            own = [score_of(known[name], points) for name, points in probed[at, band].items()]
            found[f"own_score_{at}"] = float(np.mean(np.concatenate(own)))
            found[f"fnir_{at}"] = float(np.mean(missed))
            found["probes"] = len(missed)
        yield found


def _points(sounds: Sequence[Samples], encoder: Encoder, band: int | None = None) -> Points:
    return np.stack([Utterance(each, encoder, band).voiceprint for each in sounds])


def _threshold(known: dict[str, Points], encoder: Encoder) -> float:
    counts = np.array([len(own) for own in known.values()], np.int64)
    points = np.concatenate(list(known.values()))
    return calibrate_points(points, counts, encoder.identity, encoder.card, FPIR).threshold


def _missed(
    known: dict[str, Points], probes: dict[str, Points], threshold: float
) -> NDArray[np.bool_]:
    """Return which probes do not let their student in: too far, or nearer to another."""
    missed = []
    for name, own in probes.items():
        score = score_of(known[name], own)
        others = [score_of(known[other], own) for other in known if other != name]
        nearest = np.max(others, axis=0) if others else np.full(len(own), -np.inf)
        missed.append((score < threshold) | (nearest > score))
    return np.concatenate(missed)


def _coded(sounds: Sequence[Samples], rate: int, channels: int, form: str) -> list[Samples]:
    """Sounds as they are read again from files of this rate and form. Raises SettingsError."""
    suffix, *options = ("amr",) if form == AMR else CODED.get(form) or BIT_RATES[form][1]
    with tempfile.TemporaryDirectory() as folder:
        wavs = [Path(folder, f"{number}.wav") for number in range(len(sounds))]
        files = [path.with_suffix(f".coded.{suffix}") for path in wavs]
        for sound, path in zip(sounds, wavs, strict=True):
            soundfile.write(path, _at_rate(sound, rate, channels), rate)
        if form == "WAV":
            return [read(path) for path in wavs]
        if form == AMR:
            return [
                read(amr.write(file, read(path))) for path, file in zip(wavs, files, strict=True)
            ]
        command = ["ffmpeg", "-v", "error", "-nostdin"]
        for path in wavs:
            command += ["-i", str(path)]
        for number, file in enumerate(files):
            command += ["-map", str(number), *options, str(file)]
        try:
            subprocess.run(command, check=True)
        except (OSError, subprocess.CalledProcessError):
            raise SettingsError(
                f"ffmpeg cannot write {form}; install it with 'apt-get install ffmpeg'"
            ) from None
        return [read(file) for file in files]


def _at_rate(sound: Samples, rate: int, channels: int) -> Samples:
    """Return a sound in a quiet room at a rate; a second channel hears it later and lower."""
    random = np.random.default_rng(0)
    around = round(AROUND * SAMPLE_RATE)
    padded = np.pad(sound, around)
    room = random.normal(0, 10 ** (ROOM / 20), (channels, len(padded))).astype(np.float32)
    later = np.float32(LOWER) * np.roll(padded, round(LATER * SAMPLE_RATE))
    heard = np.stack((padded, later)[:channels]) + room
    return np.asarray(soxr.resample(heard.T, SAMPLE_RATE, rate), np.float32)
