"""What is said was heard before: a recording played back, found by its phases.

Nobody says a phrase twice in the same way, down to the phase of every partial tone. What a
loudspeaker, a room and a microphone do to a recording is nearly linear and hardly changes within
a second: it turns the phases of a frequency by an angle that stays. So the phases of a phrase are
compared with stored ones, frequency by frequency: their differences over time point in one
direction if it is the same recording, and in all directions if it is not. That is the coherence
of two signals (J. S. Bendat and A. G. Piersol, Random Data, ch. 6), with magnitudes nearly
levelled as in the phase transform (C. Knapp and G. Carter, "The generalized correlation method
for estimation of time delay", IEEE Trans. ASSP 24(4), 1976), so that a long vowel, coherent with
any other of its pitch for a while, does not outweigh all else.

How coherent two sounds are by chance depends on how long they are: what counts is by how much the
best alignment stands out from the others.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from kaimen.sound import Samples

WINDOW = 1_024  # samples: 64 ms, longer than most of a room's answer
HOP = 256  # samples between the spectra of what is heard: 16 ms
STORED = 2  # only so many of these hops apart are spectra stored
BINS = np.arange(16, 250, 2)  # of a spectrum: 250 to 3,900 Hz, which small loudspeakers play
LEVELLED = 0.8  # exponent by which magnitudes of what is stored are levelled
ANGLES = 16  # that a phase is rounded to
STEP = 4.0  # dB that a magnitude is rounded to, down to 15 of them below the loudest
COARSE = 4  # bins apart, in the search for the alignment
ALIGNMENTS = 8  # of that search that are looked at closely
BETWEEN = (-1, 0, 1)  # hops from them that are, too
OVERLAP = 0.4  # of the longest overlap that an alignment must have
WORTH_A_LOOK = 0.08  # coherence by that search, above which one is: docs/figures/security.md
ELSEWHERE = 3  # stored spectra from the best alignment, beyond which others show what chance brings
BY_CHANCE = 0.25  # where there are no others
HEARD_BEFORE = 0.1  # coherence from which on a phrase is a recording: docs/figures/security.md
QUIET = 0.1  # share of the time that tells a bin's noise
CLEAR = 4.0  # power ratio of phrase to noise at which a bin counts half
UNCLEAR = 0.02  # what it counts at least
USUAL = 36  # pairs of spectra, about 1.2 s
LEVEL = 1e-12  # below every magnitude
NOTHING = 256  # in the place of a byte: no spectrum there

Fingerprint = NDArray[np.uint8]  # (spectra, bins): a phase and a magnitude each
Spectra = NDArray[np.complex64]  # (spectra, bins)
Reals = NDArray[np.float32]


def fingerprint(phrase: Samples) -> Fingerprint:
    """Return the fingerprint of a phrase: 3.7 kB a second."""
    spectra = _spectra(_frames(np.clip(np.nan_to_num(phrase), -1, 1), HOP * STORED))
    magnitudes = np.maximum(np.abs(spectra), LEVEL)
    steps = (20 / STEP) * np.log10(magnitudes.max() / magnitudes)
    turns = np.angle(spectra) * (ANGLES / (2 * np.pi))
    angles = (turns.round().astype(np.int64) % ANGLES).astype(np.uint8)
    both: Fingerprint = angles * np.uint8(16) + np.minimum(steps, 15).round().astype(np.uint8)
    return both


def coherences(phrase: Samples, stored: Sequence[Fingerprint]) -> list[float]:
    """How clearly a phrase is each of the stored ones, played back: from about 0 to about 0.8.

    Samples that are no numbers are like anything that is stored.
    """
    if not stored:
        return []
    if not np.isfinite(phrase).all():
        return [1.0] * len(stored)
    frames = _frames(phrase, HOP)
    # The alignment is searched in the steps in which spectra are stored.
    heard, clear = _levelled(frames[::STORED], COARSE)
    length, shortest = max(map(len, stored)), min(map(len, stored))
    # Either may begin or end later than the other, as far as enough of them overlaps.
    late = max(0, length - max(1, round(OVERLAP * min(len(heard), shortest))))
    present = np.zeros((length, len(stored)), np.float32)
    for place, each in enumerate(stored):
        present[: len(each), place] = 1
    pairs = _every(_around(np.ones((len(heard), 1), np.float32), late), length)[0] @ present
    share = pairs / np.maximum(pairs.max(axis=0), 1)
    # Divided by the root of the pairs it is a coherence; the fewer they are, the less it counts.
    per_sum = np.where(share > OVERLAP, np.sqrt(share / np.maximum(pairs, 1)), 0)
    scores = _roughly(_around(heard, late), clear, stored, length) * per_sum
    best = scores.argmax(axis=0)
    others = np.abs(np.arange(len(scores))[:, np.newaxis] - best) > ELSEWHERE
    others &= share > OVERLAP
    count = others.sum(axis=0)
    chance = np.sum(scores, axis=0, where=others) / np.maximum(count, 1)
    chance = np.where(count, chance, BY_CHANCE)
    lasting = np.sqrt(np.array([len(each) / USUAL for each in stored]))
    found = (scores.max(axis=0) - chance) * lasting
    looked_at = np.flatnonzero(found > WORTH_A_LOOK)
    if len(looked_at):
        heard, clear = _levelled(frames)
        heard = np.ascontiguousarray(_around(heard, STORED * late, STORED).T)
    for place in looked_at:
        several = np.argsort(scores[:, place])[-ALIGNMENTS:]
        highest = _closely(heard, clear, stored[place], several, per_sum[:, place])
        found[place] = (highest - chance[place]) * lasting[place]
    return [float(each) for each in found]


def _around(heard: NDArray[Any], late: int, more: int = 0) -> NDArray[Any]:
    """Return silence before and after, where there may be more of it."""
    both = np.zeros((len(heard) + 2 * late + more, heard.shape[1]), heard.dtype)
    both[late : late + len(heard)] = heard
    return both


def _roughly(heard: Spectra, clear: Reals, stored: Sequence[Fingerprint], length: int) -> Reals:
    """Sums of each of the stored along all alignments, by COARSE bins: (alignments, stored)."""
    codes = np.full((len(clear), length, len(stored)), NOTHING, np.uint16)
    for place, each in enumerate(stored):
        codes[:, : len(each), place] = each[:, ::COARSE].T
    kept = _conjugates()[codes]
    sums = _magnitudes(_every(heard, length) @ kept)
    weights = clear[:, np.newaxis] / _size(kept)
    found: Reals = np.einsum("flp,fp->lp", sums, weights)
    return found


def _closely(
    heard: Spectra, clear: Reals, each: Fingerprint, alignments: NDArray[Any], per_sum: Reals
) -> float:
    """The highest coherence at some alignments of what is heard, (bins, spectra), and between."""
    kept = _conjugates()[each]
    shares = clear / _size(kept[np.newaxis])[0]
    places = np.unique(np.add.outer(STORED * alignments, BETWEEN))
    places = places[places >= 0]
    # (bins, places, spectra) beside (bins, spectra, 1)
    stretches = sliding_window_view(heard, STORED * len(kept) - 1, axis=1)[:, :, ::STORED]
    sums = _magnitudes(stretches[:, places] @ kept.T[:, :, np.newaxis])[:, :, 0]
    scales = per_sum[np.minimum(np.round(places / STORED).astype(np.int64), len(per_sum) - 1)]
    return max(0.0, float(np.max(shares @ sums * scales)))


def _size(values: Spectra) -> Reals:
    """Return the root of the energy along the second of three axes, never zero."""
    parts = values.view(np.float32).reshape(*values.shape, 2)
    size: Reals = np.sqrt(np.einsum("ftpc,ftpc->fp", parts, parts)) + np.float32(LEVEL)
    return size


def _levelled(frames: Reals, apart: int = 1) -> tuple[Spectra, Reals]:
    """Return spectra by bins so many apart, of magnitude one, and how clear these are, (bins,)."""
    heard = _spectra(frames, apart)
    magnitudes = np.maximum(_magnitudes(heard), LEVEL)
    parts = heard.view(np.float32).reshape(*heard.shape, 2)
    parts /= magnitudes[..., np.newaxis]  # in place: quicker than to divide complex numbers
    return heard, _clear(magnitudes)


def _clear(magnitudes: Reals) -> Reals:
    """Return how far each bin stands out of the noise, as shares of one, (bins,).

    What is lost in noise says nothing of the phrase, and would drown what the rest says. The
    noise is told from the quietest moments: a tenth of exponentially distributed powers lie
    below about a tenth of their mean.
    """
    power = magnitudes**2
    quietest = math.ceil(QUIET * (len(power) - 1))
    in_order = np.sort(np.ascontiguousarray(power.T), axis=1)  # quicker than to partition columns
    noise = in_order[:, quietest] / -np.log1p(-QUIET)
    ratio = np.maximum(power.mean(axis=0) / np.maximum(noise, LEVEL) - 1, 0)
    clear = ratio / (ratio + CLEAR) + UNCLEAR
    shares: Reals = (clear / clear.sum()).astype(np.float32)
    return shares


def _magnitudes(values: NDArray[Any]) -> Reals:
    """Absolute values, several times as fast as those that guard against overflow."""
    return np.sqrt(values.real**2 + values.imag**2)


def _every(values: NDArray[Any], length: int) -> NDArray[Any]:
    """Return all alignments' values, (columns, alignments, length), of (spectra, columns)."""
    columns = np.ascontiguousarray(values.T)
    return np.ascontiguousarray(sliding_window_view(columns, length, axis=1))


def _frames(phrase: Samples, hop: int) -> Reals:
    """Return what spectra are of, (spectra, WINDOW)."""
    if len(phrase) < WINDOW:
        phrase = np.pad(phrase, (0, WINDOW - len(phrase)))
    return np.ascontiguousarray(sliding_window_view(phrase, WINDOW)[::hop], np.float32)


def _spectra(frames: Reals, apart: int = 1) -> Spectra:
    # Every second or eighth bin of a transform is one of the frame's halves or eighths, added.
    times = _step(apart)
    parts = (frames * _window()).reshape(len(frames), times, WINDOW // times)
    both = parts.sum(axis=1) @ _transform(apart)
    count = both.shape[1] // 2
    spectra = np.empty((len(both), count), np.complex64)
    spectra.real, spectra.imag = both[:, :count], both[:, count:]
    return spectra


def _step(apart: int) -> int:
    """From one bin to the next, of which the first is a multiple, too."""
    return int(BINS[apart] - BINS[0])


@cache
def _window() -> Reals:
    """Hann's, (WINDOW,)."""
    return np.hanning(WINDOW + 1)[:-1].astype(np.float32)


@cache
def _transform(apart: int) -> Reals:
    """Return cosines and sines of some BINS, (WINDOW / step, 2 bins): few bins need no FFT."""
    times = np.arange(WINDOW // _step(apart))
    angles = 2 * np.pi / WINDOW * np.outer(times, BINS[::apart])
    both: Reals = np.concatenate((np.cos(angles), -np.sin(angles)), axis=1).astype(np.float32)
    return both


@cache
def _conjugates() -> Spectra:
    """What each byte of a fingerprint stands for, conjugate and levelled, and NOTHING, (257,)."""
    angles, steps = np.divmod(np.arange(256), 16)
    magnitudes = 10 ** (-STEP * steps / 20 * (1 - LEVELLED))
    values = magnitudes * np.exp(-2j * np.pi * angles / ANGLES)
    return np.append(values, 0).astype(np.complex64)
