"""What the gate's endpointing loses: recordings without a phrase, speech cut off, pairs confused.

Each recording of the eval split is heard as it is, cut to its speech, with a constant offset,
with mains hum and in noise, always through a file. The reference is plain: after a difference of
neighbouring samples, a frame of 10 ms is speech where its level lies within FAINT of the
recording's loudest frame and ABOVE_FLOOR above its floor, in which added silence does not count.
Runs of such frames count from CLICK on, if they come within LOUD of the loudest. Nobody listened;
but nothing of it is taken from the endpointing. A recording whose speech pauses for PAUSE holds
more than one phrase: what is kept of its speech is not counted.

Pairs are those of the pair protocol, each recording under the same condition, cut once by the
gate and once to the reference of what is heard: an energy trim.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import soundfile
from numpy.typing import NDArray

from kaimen.enrollment.judging import decode
from kaimen.errors import NoSpeech, SettingsError
from kaimen.sound import SAMPLE_RATE, Samples
from kaimen.sound.recording import main_phrase, read
from kaimen_train.data.corpus import NOISE, Row, of_split
from kaimen_train.evaluation import protocols
from kaimen_train.processes import in_processes

FRAME = 160  # samples: 10 ms
LOUD = 25.0  # dB below the loudest frame
FAINT = 30.0  # dB below it
ABOVE_FLOOR = 6.0  # dB
FLOOR = 5  # percentile of the frames' levels that is the recording's floor,
PADDING = 45.0  # less those so many dB below the loudest: silence that was added
CLICK = 4  # frames
MARGIN = 480  # samples that the energy trim keeps around the speech: 30 ms
PAUSE = 0.6  # seconds without speech from which on a recording holds more than one phrase
MOST = 0.8  # of the speech, that a cut should keep
OFFSET = 0.1
HUM, MAINS = 0.01, 50.0  # amplitude, Hz
SNR = 10.0  # dB

Change = Callable[[Samples, NDArray[np.bool_], np.random.Generator], Samples]


def speech_frames(samples: Samples) -> NDArray[np.bool_]:
    """Return which of the whole frames of a recording are speech, shape (frames,)."""
    brighter = np.diff(samples, prepend=samples[:1])
    framed = brighter[: len(samples) // FRAME * FRAME].reshape(-1, FRAME)
    level = 10 * np.log10(np.mean(np.square(framed, dtype=np.float64), axis=1) + 1e-12)
    if not len(level):
        raise NoSpeech("shorter than a frame; record a whole phrase")
    floor = float(np.percentile(level[level > level.max() - PADDING], FLOOR)) + ABOVE_FLOOR
    faint = level >= max(level.max() - FAINT, floor)
    loud = level >= max(level.max() - LOUD, floor)
    speech = np.zeros(len(level), np.bool_)
    edges = np.flatnonzero(np.diff(faint, prepend=False, append=False))
    for first, last in edges.reshape(-1, 2):
        speech[first:last] = last - first >= CLICK and loud[first:last].any()
    return speech if speech.any() else np.ones(len(level), np.bool_)


def _ends(speech: NDArray[np.bool_]) -> tuple[int, int]:
    """Return the first and one past the last sample of the speech."""
    (where,) = np.nonzero(speech)
    return int(where[0]) * FRAME, (int(where[-1]) + 1) * FRAME


def trimmed(samples: Samples) -> Samples:
    """Return the energy trim: from the first to the last frame of speech, with a margin."""
    first, last = _ends(speech_frames(samples))
    return samples[max(0, first - MARGIN) : last + MARGIN]


def _hum(samples: Samples) -> Samples:
    at = np.arange(len(samples)) / SAMPLE_RATE
    hum: Samples = np.float32(HUM) * np.sin(2 * np.pi * MAINS * at).astype(np.float32)
    return samples + hum


def _in_noise(
    samples: Samples, speech: NDArray[np.bool_], random: np.random.Generator, noise: Sequence[Row]
) -> Samples:
    """At SNR above a noise of the manifest, which goes on all the time; white without one."""
    if noise:
        whole = read(noise[random.integers(len(noise))].file, longest=None)
        whole = np.resize(np.roll(whole, -int(random.integers(len(whole)))), len(samples))
    else:
        whole = random.standard_normal(len(samples)).astype(np.float32)
    said = samples[: len(speech) * FRAME].reshape(-1, FRAME)[speech]
    level = np.std(said) / (np.std(whole) + 1e-9) * 10 ** (-SNR / 20)
    return np.asarray(samples + whole * level, np.float32)


def conditions(noise: Sequence[Row]) -> dict[str, Change]:
    """What is heard, given a recording and its speech; of the same length but for the tight cut."""
    return {
        "as recorded": lambda samples, speech, random: samples,
        "tight": lambda samples, speech, random: samples[slice(*_ends(speech))],
        "offset": lambda samples, speech, random: samples + np.float32(OFFSET),
        "hum": lambda samples, speech, random: _hum(samples),
        "noise": lambda samples, speech, random: _in_noise(samples, speech, random, noise),
    }


@dataclass(frozen=True, slots=True)
class Cut:
    """One recording under one condition."""

    found: bool  # a phrase
    one: bool  # phrase, by the reference: there is no long pause in it
    kept: float  # share of the reference speech that is in it
    by_gate: Samples  # all of the recording where no phrase is found
    by_energy: Samples


def _through_a_file(samples: Samples) -> Samples:
    with io.BytesIO() as file:
        soundfile.write(file, samples, SAMPLE_RATE, subtype="FLOAT", format="WAV")
        return decode(file.getvalue())


def cuts(row: Row, noise: Sequence[Row]) -> dict[str, Cut]:
    """Return what becomes of a recording under each condition."""
    samples = read(row.file, longest=None)
    speech = speech_frames(samples)
    first, last = _ends(speech)
    (where,) = np.nonzero(speech)
    one = bool(np.diff(where).max(initial=0) * FRAME < PAUSE * SAMPLE_RATE)
    found = {}
    for name, change in conditions(noise).items():
        random = np.random.default_rng(list(row.path.encode()))
        heard = _through_a_file(change(samples, speech, random))
        there = speech[first // FRAME : last // FRAME] if name == "tight" else speech
        try:
            phrase = main_phrase(heard)
        except NoSpeech:
            found[name] = Cut(False, one, 0.0, heard, trimmed(heard))
            continue
        begins, ends = phrase.first, phrase.first + len(phrase.samples)
        at = (np.arange(len(there)) + 0.5) * FRAME
        kept = float(np.mean(((at >= begins) & (at < ends))[there]))
        found[name] = Cut(True, one, kept, phrase.samples, trimmed(heard))
    return found


def every(rows: Sequence[Row], nth: int) -> list[Row]:
    """Return the rows of every nth text of a corpus: a quick look, with whole pairs."""
    texts = sorted({(row.corpus, row.text) for row in rows})
    firsts = {corpus: number for number, (corpus, _) in reversed(list(enumerate(texts)))}
    kept = {pair for number, pair in enumerate(texts) if (number - firsts[pair[0]]) % nth == 0}
    return [row for row in rows if (row.corpus, row.text) in kept]


def measure(
    rows: Sequence[Row], embed: protocols.Embed, *, nth: int = 1
) -> dict[str, dict[str, dict[str, float]]]:
    """Return figures by corpus and condition, of every ``nth`` text.

    EER only where a text is said by several. Raises SettingsError where there is nothing to
    measure.
    """
    noise = [row for row in rows if row.corpus == NOISE]
    speech = [row for row in of_split(rows, "eval") if row.corpus != NOISE]
    if not speech:
        raise SettingsError("the manifest has no eval rows; see docs/figures/protocols.md")
    speech = every(speech, nth)
    figures: dict[str, dict[str, dict[str, float]]] = {}
    for corpus in sorted({row.corpus for row in speech}):
        own = [row for row in speech if row.corpus == corpus]
        made = in_processes(partial(cuts, noise=noise), f"cutting {corpus}", own)
        figures[corpus] = {
            name: _figures(own, [each[name] for each in made], embed) for name in made[0]
        }
    return figures


def _figures(rows: Sequence[Row], made: Sequence[Cut], embed: protocols.Embed) -> dict[str, float]:
    found = np.array([each.found for each in made])
    one = np.array([each.one for each in made])
    kept = np.array([each.kept for each in made])[found & one]
    figures: dict[str, float] = {
        "recordings": len(made),
        "with_pauses": float(np.mean(~one)),
        "phrases": float(found.mean()),
        "cut_off": float(np.mean(kept < MOST)) if len(kept) else 0.0,
        "kept": float(kept.mean()) if len(kept) else 0.0,
    }
    if rows[0].corpus in protocols.PAIRED:
        for name in ("by_gate", "by_energy"):
            points = embed([getattr(each, name) for each in made])
            figures[f"eer_{name}"] = protocols.pairs(rows, points).eer
    return figures
