"""Which clips make a batch, and that a batch is the same whoever asks for it when."""

from __future__ import annotations

import multiprocessing
from collections import Counter
from itertools import product
from typing import Any

import numpy as np
import pytest

pytest.importorskip("scipy")

from kaimen.voice.features import MELS
from kaimen_train.data import batches as module
from kaimen_train.data.augment import Augmenter
from kaimen_train.data.batches import GROUPS, SIZE, SPEAKERS, TAKES, Sampler, ahead, batches
from kaimen_train.data.corpus import Clips
from tests.sounds import noise, spoken

# Python 3.12 warns of every fork beside threads; numpy's own wait for work and hold no lock.
pytestmark = pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")

Label = dict[str, str | float]


def labelled(corpus: str, speakers: int, texts: str = "ab", takes: int = 3) -> list[Label]:
    """Takes of all texts by all speakers at two speeds."""
    return [
        {
            "path": f"{corpus}/{text}/{speaker}-{take}.wav",
            "corpus": corpus,
            "speaker": f"s{speaker}",
            "text": text,
            "speed": speed,
        }
        for speaker, text, take, speed in product(range(speakers), texts, range(takes), (1.0, 0.9))
    ]


def clips_of(labels: list[Label]) -> Clips:
    """All clips are the same sound: only labels are asked for."""
    count = len(labels)
    return Clips(np.zeros(1, np.int16), np.zeros(count, int), np.ones(count, int), labels)


def drawn(labels: list[Label], times: int = 20) -> list[list[list[Label]]]:
    """Labels of so many groups of SPEAKERS of TAKES."""
    sampler, random = Sampler(clips_of(labels)), np.random.default_rng(0)
    groups = []
    for _ in range(times):
        indices = sampler.draw(random)
        assert indices.shape == (SIZE,)
        for group in indices.reshape(GROUPS, SPEAKERS, TAKES):
            groups.append([[labels[index] for index in takes] for takes in group])
    return groups


def voice(label: Label) -> tuple:
    return label["corpus"], label["speaker"] or label["path"], label["speed"]


TWO_CORPORA = labelled("mandarin20", 12) + labelled("commands", 30)


def test_a_group_is_of_one_corpus() -> None:
    for group in drawn(TWO_CORPORA):
        assert len({label["corpus"] for takes in group for label in takes}) == 1


def test_takes_side_by_side_are_of_one_voice() -> None:
    for group in drawn(TWO_CORPORA):
        for takes in group:
            assert len({voice(label) for label in takes}) == 1


def test_the_voices_and_the_takes_of_a_group_differ_where_they_can() -> None:
    for group in drawn(TWO_CORPORA):
        assert len({voice(takes[0]) for takes in group}) == SPEAKERS
        for takes in group:
            assert len({label["path"] for label in takes}) == TAKES


def test_a_small_corpus_gives_full_groups() -> None:
    for group in drawn(labelled("arabic40", 2)):
        assert len(group) == SPEAKERS


def test_a_voice_nobody_named_is_one_recording() -> None:
    labels = [label | {"speaker": ""} for label in labelled("others", 10)]
    for group in drawn(labels):
        for takes in group:
            assert len({label["path"] for label in takes}) == 1


def test_all_of_a_group_say_the_same_as_often_as_was_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def alike(group: list[list[Label]]) -> bool:
        return len({label["text"] for takes in group for label in takes}) == 1

    monkeypatch.setattr(module, "SAME_TEXT", 1.0)
    assert all(map(alike, drawn(TWO_CORPORA)))
    monkeypatch.setattr(module, "SAME_TEXT", 0.0)
    assert not any(map(alike, drawn(TWO_CORPORA)))


def test_corpora_without_a_share_share_the_rest() -> None:
    labels = [*TWO_CORPORA, *labelled("one", 20), *labelled("two", 40)]
    found = Counter(group[0][0]["corpus"] for group in drawn(labels, 400))
    shares = {corpus: count / 1_600 for corpus, count in found.items()}
    assert shares == {
        "mandarin20": pytest.approx(0.2, abs=0.04),
        "commands": pytest.approx(0.3, abs=0.04),
        "one": pytest.approx(0.25, abs=0.04),
        "two": pytest.approx(0.25, abs=0.04),
    }


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches of eight clips."""
    monkeypatch.setattr(module, "GROUPS", 2)
    monkeypatch.setattr(module, "SPEAKERS", 2)


@pytest.fixture
def clips() -> Clips:
    """Real sounds: four speakers at two pitches each."""
    sounds = [spoken(0.7, 100 + 20 * number) for number in range(8)]
    ends = np.cumsum([len(sound) for sound in sounds])
    labels: list[Label] = [
        {"path": f"{n}.wav", "corpus": "words", "speaker": f"s{n // 2}", "text": "a", "speed": 1.0}
        for n in range(8)
    ]
    samples = np.int16(np.concatenate(sounds) * 32767)
    return Clips(samples, ends - [len(sound) for sound in sounds], ends, labels)


@pytest.fixture
def augmenter(clips: Clips) -> Augmenter:
    """One with a noise and a room without an echo."""
    hiss = np.int16(noise(1.0, -20) * 32767)
    noises = Clips(hiss, np.array([0]), np.array([len(hiss)]), [{"corpus": "noise"}])
    return Augmenter(noises, clips, [np.ones(1, np.float32)], np.random.default_rng())


@pytest.mark.usefixtures("small")
def test_batches_come_one_a_step_in_order(clips: Clips, augmenter: Augmenter) -> None:
    made = list(batches(clips, augmenter, seed=1, steps=range(3, 6)))
    assert [batch.step for batch in made] == [3, 4, 5]
    for batch in made:
        frames = batch.features.shape[1]
        assert batch.features.shape == (8, frames, MELS) and frames in module.FRAMES
        assert batch.features.dtype == np.float16
        assert np.isfinite(batch.features).all()
        assert batch.clips.shape == (8,)


@pytest.mark.usefixtures("small")
def test_a_resumed_run_is_given_the_batches_the_killed_one_would_have(
    clips: Clips, augmenter: Augmenter
) -> None:
    *_, uninterrupted = batches(clips, augmenter, seed=1, steps=range(0, 2))
    (resumed,) = batches(clips, augmenter, seed=1, steps=range(1, 2))
    np.testing.assert_array_equal(resumed.clips, uninterrupted.clips)
    np.testing.assert_array_equal(resumed.features, uninterrupted.features)


@pytest.mark.usefixtures("small")
def test_another_seed_makes_other_batches(clips: Clips, augmenter: Augmenter) -> None:
    (one,), (other,) = (batches(clips, augmenter, seed=seed, steps=range(1)) for seed in (1, 2))
    assert one.features.shape != other.features.shape or not np.array_equal(
        one.features, other.features
    )


@pytest.mark.usefixtures("small")
def test_the_maker_ends_when_nobody_wants_more(clips: Clips, augmenter: Augmenter) -> None:
    wanted = batches(clips, augmenter, seed=1, steps=range(1_000_000))
    next(wanted)
    (maker,) = multiprocessing.active_children()
    wanted.close()
    maker.join(30)
    assert not maker.is_alive()


class Unfit:
    """A batch that cannot be read where it arrives."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _no_memory, ()


def _no_memory() -> None:
    raise MemoryError


def _put_unfit(queue: multiprocessing.Queue[Unfit], _: range) -> None:
    queue.put(Unfit())


def test_a_batch_that_cannot_be_read_is_the_error_that_it_is() -> None:
    with pytest.raises(MemoryError):
        next(ahead(_put_unfit, range(1)))
