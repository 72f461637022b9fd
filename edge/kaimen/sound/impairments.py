"""What costs a phrase more than 0.05 of score at the gate, though a voice is known by it.

What each costs, measured on real voices, is in ``docs/figures/sound.md``.
"""

from __future__ import annotations

import numpy as np

from kaimen.sound import SAMPLE_RATE, Samples
from kaimen.sound.bandwidth import WIDER, band_of, highest_speech, nothing_above
from kaimen.sound.gain_steps import has_gain_step
from kaimen.sound.loudness import decibels
from kaimen.sound.quality import clipped_share

QUIET = -58.0  # dB, root mean square of a phrase: 16 bits add noise below
CLIPPED = 0.02  # share of a phrase's samples
GAPS = 0.05  # share of a phrase

FRAME = SAMPLE_RATE // 200  # samples: 5 ms
SILENT = 55.0  # dB below the loudest frame, that is silence inside speech
LOUD = 35.0  # dB below it, that is speech beside a gap: a word dies away instead
SHORTEST, LONGEST = 4, 50  # frames of a gap; longer is a pause
BESIDE = 2  # frames


def impairments(phrase: Samples, highest: float | None = None) -> tuple[str, ...]:
    """Return what costs score in a phrase, a sentence each with what to do.

    ``highest`` is how high its speech reaches in Hz, where that was measured already.
    """
    band = band_of(highest_speech(phrase) if highest is None else highest)
    level, clipped, gaps = decibels(phrase), clipped_share(phrase), gap_share(phrase)
    found = [
        (band is not None, f"{nothing_above(band or 0)}; {WIDER}"),
        (level < QUIET, "very quiet; go closer to the microphone, or turn it up"),
        (clipped >= CLIPPED, "the loudest of it is cut off; turn the microphone down"),
        (has_gain_step(phrase), "its loudness jumps; turn off automatic gain (AGC)"),
        (gaps >= GAPS, "it has gaps; turn off echo cancelling and noise suppression"),
    ]
    return tuple(sentence for is_so, sentence in found if is_so)


def gap_share(phrase: Samples) -> float:
    """Return the share of a phrase that is silence cut into its speech."""
    # Differences of differences: what a filter of low frequencies leaves in a gap is no speech.
    bright = np.diff(phrase.astype(np.float64), n=2, prepend=0, append=0)
    framed = bright[: len(bright) // FRAME * FRAME].reshape(-1, FRAME)
    if not len(framed):
        return 0.0
    power = 10 * np.log10(np.mean(framed**2, axis=1) + 1e-12)
    loudest = power.max()
    silent = power < loudest - SILENT
    share = 0
    for first, last in np.flatnonzero(np.diff(silent, prepend=False, append=False)).reshape(-1, 2):
        if first and last < len(power) and SHORTEST <= last - first <= LONGEST:
            before = power[max(0, first - BESIDE) : first].max()
            after = power[last : last + BESIDE].max()
            if min(before, after) > loudest - LOUD:
                share += int(last - first)
    return share / len(power)
