"""What is enrolled, and what is played, as files of the card: enrolled/, and one folder a kind.

    python deploy/emulated-pi/phrases.py FOLDER [SPEECH]

SPEECH is laid out as student/recording.mp3, or a manifest of which the first two phrases of the
phrase protocol (docs/figures/protocols.md) are taken; the demo's synthetic voices unless given.
Every third person stays a stranger. No recording both enrolls and comes to the gate.
"""

from __future__ import annotations

import itertools
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile

from kaimen.enrollment.entries import recordings_in
from kaimen.rehearsal import RECORDINGS
from kaimen.rehearsal.visitors import ENROLLED, OTHER, noises
from kaimen.sound import SAMPLE_RATE, Samples
from kaimen.sound.recording import read

EVERY = 3  # of the people, the last stays a stranger
PHRASES = 10  # of each kind
GAINS = (1.0, 0.3, 0.1)  # of sounds without a voice


def spoken(manifest: Path, folder: Path) -> None:
    """Write the eval voices' takes of two phrases as student/phrase-1.wav and other-1.wav."""
    from kaimen_train.data.corpus import of_split, read_manifest, speech_of
    from kaimen_train.evaluation.protocols import PHRASES, joined

    rows = [row for row in of_split(read_manifest(manifest), "eval") if row.corpus == "mandarin20"]
    wanted = {"".join(words): name for words, name in zip(PHRASES, ("phrase", OTHER), strict=False)}
    names, sounds = joined(rows, [speech_of(row.file) for row in rows])
    for (text, speaker, take), sound in zip(names, sounds, strict=True):
        if text in wanted:
            (folder / speaker).mkdir(parents=True, exist_ok=True)
            path = folder / speaker / f"{wanted[text]}-{take}.wav"
            soundfile.write(path, sound, SAMPLE_RATE, "PCM_16")


def main(out: Path, speech: Path) -> None:
    """Write the folders."""
    if speech.suffix == ".csv":
        with tempfile.TemporaryDirectory() as folder:
            spoken(speech, Path(folder))
            return main(out, Path(folder))
    kinds: dict[str, list[Iterator[Samples]]] = {"student": [], "stranger": [], "other": []}
    for number, (name, files) in enumerate(sorted(recordings_in(speech).items()), start=1):
        phrases = [file for file in files if not file.stem.startswith(OTHER)]
        others = [file for file in files if file.stem.startswith(OTHER)]
        if number % EVERY == 0:
            kinds["stranger"].append(map(read, phrases))
            continue
        (out / "enrolled" / name).mkdir(parents=True)
        for file in phrases[:ENROLLED]:
            shutil.copy(file, out / "enrolled" / name)
        kinds["student"].append(map(read, phrases[ENROLLED:]))
        kinds["other"].append(map(read, others))
    kinds["noise"] = [(noise.samples * gain for noise in noises()) for gain in GAINS]
    for kind, people in kinds.items():
        # One of each in turn, so that as many people as possible come.
        in_turn = (each for round in itertools.zip_longest(*people) for each in round)
        (out / kind).mkdir(parents=True)
        chosen = itertools.islice((each for each in in_turn if each is not None), PHRASES)
        for number, samples in enumerate(chosen, start=1):
            path = out / kind / f"{number:02}.wav"
            soundfile.write(path, np.clip(samples, -1, 1), SAMPLE_RATE, "PCM_16")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else RECORDINGS)
