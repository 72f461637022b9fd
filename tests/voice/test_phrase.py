"""A phrase encoder is trusted only with its card, and tells the words that were enrolled.

What phrases are worth to each other is plain arithmetic; the shipped network is asked too, where
there is one.
"""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import kaimen.rehearsal
from kaimen.access.decision import Check
from kaimen.calibration.phrase_threshold import in_common
from kaimen.errors import EncoderError, NoSpeech
from kaimen.sound import Samples
from kaimen.sound.recording import main_phrase, read
from kaimen.voice import PHRASE, features
from kaimen.voice.network import RUNTIMES
from kaimen.voice.phrase import (
    MARGIN,
    SOFTNESS,
    PhraseCard,
    PhraseEmbedding,
    PhraseEncoder,
    phrase_score,
    similarity,
    speech_in,
    stretched,
    unit_rows,
)
from tests.sounds import noise, silence, spoken

PARTS = 5
DIMENSION = 16
RECORDINGS = Path(kaimen.rehearsal.__file__).parent / "recordings"


def write(folder: Path, content: bytes = b"network", **changes: Any) -> Path:
    """A phrase encoder and its card."""
    path = folder / "phrase.tflite"
    path.write_bytes(content)
    card = {
        "name": "test",
        "sha256": hashlib.sha256(content).hexdigest(),
        "frames": 96,
        "values": features.MELS,
        "parts": PARTS,
        "dimension": DIMENSION,
        "softness": SOFTNESS,
        "features": features.constants(),
        "threshold": 0.8,
        "training": {},
        "measured": {},
        **changes,
    }
    path.with_suffix(".json").write_text(json.dumps(card), encoding="utf-8")
    return path


def refusal(path: Path, runtime: str | None = None) -> str:
    """Why a phrase encoder is refused."""
    with pytest.raises(EncoderError) as caught:
        PhraseEncoder(path, runtime=runtime)
    assert caught.value.exit_code == 4
    assert "\n" not in str(caught.value)
    return str(caught.value)


def said(seed: int, parts: int = PARTS) -> PhraseEmbedding:
    """What somebody says, at random."""
    return unit_rows(np.random.default_rng(seed).normal(size=(parts, DIMENSION)).astype("f4"))


def smooth_minimum(cosines: np.ndarray) -> float:
    """By its definition, in whole precision."""
    whole = cosines.astype(np.float64)
    return float(-SOFTNESS * np.log(np.mean(np.exp(-whole / SOFTNESS))))


def test_a_phrase_is_wholly_like_itself() -> None:
    assert similarity(said(0), said(0)[np.newaxis]) == pytest.approx(1, abs=1e-6)


@given(st.integers(0, 1000), st.integers(1, 9))
def test_similarity_is_the_smooth_minimum_of_the_parts(seed: int, parts: int) -> None:
    one = said(seed, parts)
    others = np.stack([said(seed + 1 + number, parts) for number in range(4)])
    for other, alike in zip(others, similarity(one, others), strict=True):
        cosines = np.sum(one * other, axis=1)
        assert alike == pytest.approx(smooth_minimum(cosines), abs=1e-5)
        assert cosines.min() - 1e-6 <= alike <= cosines.mean() + 1e-6


def test_similarity_is_the_same_both_ways() -> None:
    one, other = said(0), said(1)
    there = similarity(one, other[np.newaxis])
    np.testing.assert_allclose(there, similarity(other, one[np.newaxis]), atol=1e-6)


def test_half_a_phrase_is_not_half_right() -> None:
    half = said(0).copy()
    half[3:] = said(1)[3:]
    (alike,) = similarity(half, said(0)[np.newaxis])
    assert alike < 0.3 < np.sum(half * said(0), axis=1).mean()


def test_a_score_is_the_similarity_to_the_middle_of_the_recordings() -> None:
    enrolled = [said(number) for number in range(5)]
    cosines = [
        np.dot(said(7)[part], mean) / np.linalg.norm(mean)
        for part, mean in enumerate(np.mean(np.stack(enrolled), axis=0))
    ]
    assert phrase_score(said(7), enrolled) == pytest.approx(
        smooth_minimum(np.array(cosines)), abs=1e-5
    )
    assert phrase_score(said(0), enrolled[:1]) == pytest.approx(1, abs=1e-6)


def test_one_bad_recording_among_five_does_little_harm() -> None:
    takes = [unit_rows(said(0) + 0.1 * said(number)) for number in range(1, 7)]
    good = phrase_score(takes[5], takes[:5])
    assert phrase_score(takes[5], [*takes[:4], said(99)]) > good - 0.1
    assert phrase_score(said(99), [*takes[:4], said(99)]) < 0.6


def takes_of(words: int, manner: int, count: int) -> list[PhraseEmbedding]:
    """Recordings of the same words by somebody who says them in a manner of their own."""
    return [
        unit_rows(said(words) + 0.3 * said(manner) + 0.2 * said(1000 * manner + number))
        for number in range(count)
    ]


def test_how_all_say_a_phrase_counts_for_who_says_the_same() -> None:
    enrolled, school = takes_of(0, 50, 5), said(0)
    plainly = unit_rows(said(0) + 0.2 * said(60))  # without the manner of another day
    assert phrase_score(plainly, enrolled, school) > phrase_score(plainly, enrolled)
    own_manner = unit_rows(said(1) + 0.6 * said(50))  # other words in the same manner
    assert phrase_score(own_manner, enrolled, school) < phrase_score(own_manner, enrolled)


def test_who_enrolled_another_phrase_is_compared_with_their_own() -> None:
    enrolled, school = takes_of(3, 50, 5), said(0)
    assert phrase_score(said(3), enrolled, school) == phrase_score(said(3), enrolled)
    assert phrase_score(school, enrolled, school) < 0.6


def test_a_few_have_nothing_in_common() -> None:
    assert in_common([takes_of(0, 50, 5), takes_of(0, 51, 5), []]) is None
    common = in_common([takes_of(0, manner, 5) for manner in (50, 51, 52)])
    assert common is not None
    (alike,) = similarity(common, said(0)[np.newaxis])
    assert alike > 0.9


def test_recordings_that_cancel_each_other_are_like_nothing() -> None:
    assert abs(phrase_score(said(0), [said(1), -said(1)])) < 1e-6


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("where", ["said", "enrolled"])
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_what_is_no_number_passes_nothing(where: str, wrong: float) -> None:
    probe, enrolled = said(0), [said(0) for _ in range(5)]
    (probe if where == "said" else enrolled[2])[1, 3] = wrong
    assert not Check("phrase", phrase_score(probe, enrolled), -1.0).passed


def test_a_part_of_which_nothing_is_known_is_not_like_anything() -> None:
    nothing = said(0).copy()
    nothing[2] = 0
    (alike,) = similarity(unit_rows(nothing), said(0)[np.newaxis])
    assert alike < 0.2


def at_levels(*levels: tuple[int, float]) -> features.Features:
    """Log-mel frames, so many of each level in dB, slightly uneven."""
    random = np.random.default_rng(0)
    frames = [np.full((count, features.MELS), level * np.log(10) / 10) for count, level in levels]
    heard = np.concatenate(frames)
    return (heard + random.normal(0, 0.1, heard.shape)).astype(np.float32)


def kept(heard: features.Features) -> slice:
    """Which frames are taken for speech."""
    found = speech_in(heard)
    (first,) = [n for n in range(len(heard)) if (heard[n] == found[0]).all()]
    np.testing.assert_array_equal(heard[first : first + len(found)], found)
    return slice(first, first + len(found))


def test_speech_is_cut_from_the_noise_around_it() -> None:
    assert kept(at_levels((50, -40), (60, 0), (80, -35))) == slice(50 - MARGIN, 110 + MARGIN)


def test_a_click_far_from_the_words_is_not_of_the_phrase() -> None:
    before = at_levels((10, -40), (5, 0), (30, -40), (60, 0))
    assert kept(before) == slice(45 - MARGIN, 105)
    after = at_levels((60, 0), (30, -40), (5, 0), (10, -40))
    assert kept(after) == slice(0, 60 + MARGIN)


def test_a_pause_within_the_words_stays() -> None:
    for pause in (10, 30, 60):
        both = at_levels((40, 0), (pause, -40), (40, -10))
        assert kept(both) == slice(0, len(both))


def test_what_is_as_loud_throughout_stays_as_it_is() -> None:
    for heard in (at_levels((50, 0)), at_levels((20, -15), (50, 0), (20, -15)), at_levels((1, 0))):
        assert kept(heard) == slice(0, len(heard))


def test_frames_that_are_no_numbers_stay() -> None:
    heard = np.full((20, features.MELS), np.nan, np.float32)
    np.testing.assert_array_equal(speech_in(heard), heard)


@given(st.integers(1, 60), st.integers(0, 1000))
def test_speech_is_never_nothing(frames: int, seed: int) -> None:
    heard = np.random.default_rng(seed).normal(-10, 5, (frames, features.MELS)).astype("f4")
    assert 1 <= len(speech_in(heard)) <= frames


def test_stretched_keeps_begin_and_end_and_what_lies_between() -> None:
    heard = np.outer(np.arange(10), np.ones(features.MELS)).astype("f4")
    for frames in (2, 7, 10, 96):
        longer = stretched(heard, frames)
        assert longer.shape == (frames, features.MELS)
        np.testing.assert_allclose(longer[:, 0], np.linspace(0, 9, frames), atol=1e-5)
    np.testing.assert_array_equal(stretched(heard, 10), heard)


def test_one_frame_is_stretched_too() -> None:
    heard = np.ones((1, features.MELS), np.float32)
    np.testing.assert_array_equal(stretched(heard, 5), np.ones((5, features.MELS)))


def test_the_card_of_another_encoder_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path)
    path.with_suffix(".json").write_bytes(PHRASE.with_name("encoder.json").read_bytes())
    assert "not a phrase encoder's card" in refusal(path)


def test_another_softness_is_refused(tmp_path: Path) -> None:
    refusal(write(tmp_path, softness=2 * SOFTNESS))


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("content", [b"", b"garbage" * 100], ids=["empty", "garbage"])
def test_a_network_that_the_runtime_refuses_is_refused(
    tmp_path: Path, runtime: str, content: bytes
) -> None:
    pytest.importorskip(runtime)
    assert "the runtime refuses it" in refusal(write(tmp_path, content), runtime)


def test_a_runtime_that_is_not_installed_is_named(tmp_path: Path) -> None:
    sentence = refusal(write(tmp_path), "no_such_runtime")
    assert sentence.startswith("no no_such_runtime is installed; ")


shipped = pytest.mark.skipif(not PHRASE.exists(), reason="no phrase encoder is shipped yet")
VOICED = spoken(1.0) + noise(1.0, -60)
STUDENTS = sorted(folder.name for folder in RECORDINGS.iterdir() if folder.is_dir())


@pytest.fixture(scope="module", params=RUNTIMES)
def network(request: pytest.FixtureRequest) -> PhraseEncoder:
    """The shipped phrase encoder, in each runtime."""
    pytest.importorskip(request.param)
    return PhraseEncoder(runtime=request.param)


def recorded(student: str, name: str) -> Samples:
    """One of the demo's recordings, as a gate hears it."""
    return main_phrase(read(RECORDINGS / student / f"{name}.mp3")).samples


@pytest.fixture(scope="module")
def phrases() -> dict[tuple[str, str], PhraseEmbedding]:
    """What students of the demo say, by student and file."""
    encoder = PhraseEncoder()
    names = [*(f"phrase-{take}" for take in range(1, 8)), "other-1", "other-2"]
    return {
        (student, name): encoder.embed(recorded(student, name))
        for student in STUDENTS
        for name in names
    }


@shipped
@pytest.mark.parametrize("change", ["frames", "parts", "dimension"])
def test_shapes_other_than_the_cards_are_refused(tmp_path: Path, change: str) -> None:
    card = PhraseCard.read(PHRASE.with_suffix(".json"))
    shape = {name: getattr(card, name) for name in ("frames", "parts", "dimension")}
    shape[change] += 1
    assert "are not the card's" in refusal(write(tmp_path, PHRASE.read_bytes(), **shape))


@shipped
def test_the_shipped_phrase_encoder_gives_unit_rows(network: PhraseEncoder) -> None:
    point = network.embed(VOICED)
    assert point.shape == (network.card.parts, network.card.dimension)
    assert point.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(point, axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(point, network.embed(VOICED))


@shipped
def test_the_shipped_phrase_encoder_takes_features_heard_before(network: PhraseEncoder) -> None:
    heard = features.log_mel(VOICED)
    before = heard.copy()
    np.testing.assert_array_equal(network.embed_features(heard), network.embed(VOICED))
    np.testing.assert_array_equal(heard, before)


@shipped
def test_the_shipped_phrase_encoder_does_not_mind_how_loud_a_phrase_is(
    network: PhraseEncoder,
) -> None:
    louder = network.embed(2 * VOICED)
    assert similarity(network.embed(VOICED), louder[np.newaxis])[0] > 0.98


@shipped
def test_the_shipped_phrase_encoder_does_not_mind_noise_around_the_words() -> None:
    encoder = PhraseEncoder()
    word = recorded(STUDENTS[0], "phrase-1")
    room = noise(0.5, 20 * np.log10(np.abs(word).max()) - 50)
    padded = np.concatenate((room, word, room))
    assert similarity(encoder.embed(word), encoder.embed(padded)[np.newaxis])[0] > 0.9


@shipped
def test_less_than_a_frame_is_no_speech(network: PhraseEncoder) -> None:
    with pytest.raises(NoSpeech):
        network.embed(silence(0.01))


@shipped
def test_a_phrase_encoder_is_known_by_its_content(network: PhraseEncoder) -> None:
    assert network.identity == hashlib.sha256(PHRASE.read_bytes()).hexdigest()


@shipped
def test_the_card_says_how_good_it_is() -> None:
    card = PhraseCard.read(PHRASE.with_suffix(".json"))
    assert 0 < card.threshold < 1
    assert card.measured["development"]["wrong_passed"] < 0.05


@shipped
def test_both_runtimes_say_the_same_of_a_phrase() -> None:
    for runtime in RUNTIMES:
        pytest.importorskip(runtime)
    encoders = [PhraseEncoder(runtime=runtime) for runtime in RUNTIMES]
    for sound in (VOICED, recorded(STUDENTS[0], "phrase-1"), recorded(STUDENTS[0], "other-1")):
        one, other = (encoder.embed(sound).ravel() for encoder in encoders)
        assert one @ other / (np.linalg.norm(one) * np.linalg.norm(other)) >= 0.99


@shipped
def test_the_demos_students_are_told_by_what_they_say(
    phrases: dict[tuple[str, str], PhraseEmbedding],
) -> None:
    threshold = PhraseCard.read(PHRASE.with_suffix(".json")).threshold
    right, wrong = [], []
    for student in STUDENTS:
        enrolled = [phrases[student, f"phrase-{take}"] for take in range(1, 6)]
        for name in ("phrase-6", "phrase-7"):
            right.append(phrase_score(phrases[student, name], enrolled))
        for name in ("other-1", "other-2"):
            wrong.append(phrase_score(phrases[student, name], enrolled))
    assert np.mean(np.array(right) >= threshold) > 0.9
    assert max(wrong) < threshold


@shipped
def test_words_count_and_not_the_voice(phrases: dict[tuple[str, str], PhraseEmbedding]) -> None:
    first = [phrases[STUDENTS[0], f"phrase-{take}"] for take in range(1, 6)]
    others = STUDENTS[1:]
    same_words = [phrase_score(phrases[student, "phrase-6"], first) for student in others]
    own_voice = phrase_score(phrases[STUDENTS[0], "other-1"], first)
    assert np.median(same_words) > own_voice
