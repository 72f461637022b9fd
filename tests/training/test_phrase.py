"""A phrase encoder is taught, exported and measured, as small as can be."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from kaimen.errors import EncoderError  # noqa: E402
from kaimen.sound import Samples  # noqa: E402
from kaimen.voice import PHRASE, features  # noqa: E402
from kaimen.voice.encoder import Encoder  # noqa: E402
from kaimen.voice.network import RUNTIMES  # noqa: E402
from kaimen.voice.phrase import PhraseEmbedding, PhraseEncoder, similarity, stretched, unit_rows  # noqa: E402
from kaimen_train.cli import main  # noqa: E402
from kaimen_train.data.corpus import Clips, Row  # noqa: E402
from kaimen_train.evaluation.protocols import NEAR_ALIKE  # noqa: E402
from kaimen_train.networks import phrase as network  # noqa: E402
from kaimen_train.phrase import batches, fit, protocol  # noqa: E402
from kaimen_train.phrase.batches import PHRASES, WordFeatures, heard_again, rivals  # noqa: E402
from kaimen_train.phrase.protocol import PhraseTrials  # noqa: E402
from tests.sounds import spoken  # noqa: E402

pytestmark = [
    # Keras 2.14 seeds itself in a way that Python has come to dislike.
    pytest.mark.filterwarnings("ignore:non-integer arguments to randrange"),
    pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning"),
]

TEXTS = [*"abcdefghij", *(word for pair in NEAR_ALIKE for word in pair)]
PLAN = fit.PhrasePlan(steps=3, warm=1)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network and batches as small as can be, for a corpus of two words."""
    monkeypatch.setattr(network, "FRONT", (4, 4, 4, 4))
    monkeypatch.setattr(network, "CHANNELS", 8)
    monkeypatch.setattr(network, "BLOCKS", 1)
    monkeypatch.setattr(batches, "SPEAKERS", 2)
    monkeypatch.setattr(batches, "PHRASES", 2)
    monkeypatch.setattr(fit, "ENROLLED", 1)
    monkeypatch.setattr(fit, "AGREE", 0.9)  # what has hardly learned anything rounds badly


def words(speakers: int = 6, takes: int = 2, texts: list[str] = TEXTS) -> WordFeatures:
    """A corpus in which every frame of a text has the number of the text in its first mels."""
    heard, labels = [], []
    for speaker in range(speakers):
        for number, text in enumerate(texts):
            for take in range(takes):
                values = np.zeros((40 + take, features.MELS), np.float32)
                values[:, :8] = number
                heard.append(values)
                label = {"corpus": "mandarin20", "speaker": f"s{speaker}", "text": text}
                labels.append({**label, "speed": 1.0, "path": ""})
    nothing = np.zeros(0, np.int64)
    return WordFeatures(heard, Clips(np.zeros(0, np.int16), nothing, nothing, labels))


@pytest.mark.slow
@pytest.mark.usefixtures("small")
def test_a_short_run_ends_in_a_file_that_a_gate_loads(tiny_rows: list[Row], tmp_path: Path) -> None:
    weights = fit.fit(tiny_rows, tmp_path, PLAN)
    assert fit.PhrasePlan(**json.loads((tmp_path / "phrase" / "plan.json").read_text())) == PLAN

    out = tmp_path / "out" / "phrase.tflite"
    out.parent.mkdir()
    card = fit.export(tiny_rows, tmp_path, out)
    assert card.measured["runtimes_least_cosine"] >= fit.AGREE
    assert card.measured["development"]["right"] > 0
    assert card.training["plan"]["steps"] == PLAN.steps
    for runtime in RUNTIMES:
        encoder = PhraseEncoder(out, runtime=runtime)
        assert encoder.card == card
        assert encoder.embed(spoken(0.5)).shape == (network.PARTS, network.DIMENSION)

    made = network.build()
    made.load_weights(weights)
    heard = features.level_free(features.log_mel(spoken(0.5)))
    whole = unit_rows(made.predict(stretched(heard, network.FRAMES)[np.newaxis], verbose=0)[0])
    assert np.mean(np.sum(whole * PhraseEncoder(out).embed(spoken(0.5)), axis=1)) > 0.95


@pytest.mark.slow
@pytest.mark.usefixtures("small")
def test_a_killed_run_goes_on_and_ends_as_if_it_had_not_been(
    tiny_rows: list[Row], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fit, "EVERY", 1)
    tf.keras.utils.set_random_seed(0)
    whole = fit.fit(tiny_rows, tmp_path / "whole", PLAN)

    made_of, asked = fit.batches, []

    def killed(*rest: object, steps: range, **options: object) -> object:
        asked.append(steps)
        for step, batch in zip(steps, made_of(*rest, steps=steps, **options), strict=True):
            if step == 2 and len(asked) == 1:
                raise KeyboardInterrupt
            yield batch

    monkeypatch.setattr(fit, "batches", killed)
    tf.keras.utils.set_random_seed(0)
    with pytest.raises(KeyboardInterrupt):
        fit.fit(tiny_rows, tmp_path / "killed", PLAN)
    resumed = fit.fit(tiny_rows, tmp_path / "killed", PLAN)
    assert asked == [range(3), range(2, 3)]
    weights = []
    for path in (whole, resumed):
        made = network.build()
        made.load_weights(path)
        weights.append(made.get_weights())
    assert all(np.isfinite(weight).all() for weight in weights[0])
    # Dropout draws anew after a restart; a step of AdamW moves a weight by its rate at most.
    for one, other in zip(*weights, strict=True):
        np.testing.assert_allclose(one, other, atol=5e-2)


def test_without_weights_nothing_is_exported(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match="kaimen-train phrase"):
        fit.export([], tmp_path, tmp_path / "phrase.tflite")
    assert not list(tmp_path.iterdir())


def test_the_network_has_the_parts_it_says() -> None:
    made = network.build()
    assert made.output_shape == (None, network.PARTS, network.DIMENSION)
    assert 0 < made.count_params() < 1_000_000


def test_the_contrast_is_less_where_the_same_words_are_more_alike() -> None:
    which = np.array([0, 0, 1, 1], np.int32)
    random = np.random.default_rng(0)
    kinds = random.normal(size=(2, 5, 16)).astype(np.float32)
    alike = kinds[which] + 0.01 * random.normal(size=(4, 5, 16)).astype(np.float32)
    good = float(fit.contrast(alike, which))
    bad = float(fit.contrast(alike[[0, 2, 1, 3]], which))
    assert 0 <= good < 0.1 < 1 < bad


def test_the_contrast_compares_as_the_gate_does() -> None:
    """Three phrases, two of them the same: the loss by hand."""
    random = np.random.default_rng(1)
    parts = random.normal(size=(3, 5, 16)).astype(np.float32)
    said = unit_rows(parts)
    scores = np.stack([similarity(each, said) for each in said]) / fit.TEMPERATURE
    rows = [(0, 1, (1, 2)), (1, 0, (0, 2))]
    losses = [np.log(np.exp(scores[a, list(of)]).sum()) - scores[a, b] for a, b, of in rows]
    found = float(fit.contrast(parts, np.array([0, 0, 1], np.int32)))
    assert found == pytest.approx(sum(losses) / 3, rel=1e-4)  # the third has nobody to be like


@pytest.mark.parametrize("seed", range(20))
def test_rivals_share_a_half_or_are_single_words(seed: int) -> None:
    phrases = rivals(np.random.default_rng(seed), TEXTS)
    assert len(phrases) == len(set(phrases)) <= PHRASES
    assert len({len(each) for each in phrases}) == 1
    if len(phrases[0]) == 2:
        pairs = set(phrases)
        rivalled = [
            (a, b)
            for a, b in pairs
            if a != b
            and {(a, a), (b, b), (b, a)} <= pairs
            and all({a, b} & set(pair) for pair in pairs if not near(pair, (a, b)))
        ]
        assert rivalled  # one that all others share a half with, some by a near-alike word


def near(pair: tuple[str, ...], other: tuple[str, ...]) -> bool:
    return all(a == b or {a, b} in map(set, NEAR_ALIKE) for a, b in zip(pair, other, strict=True))


def test_near_alike_words_are_often_rivals() -> None:
    random = np.random.default_rng(0)
    groups = [rivals(random, TEXTS) for _ in range(100)]
    said = [{word for each in group for word in each} for group in groups]
    met = [any(set(pair) <= words for pair in NEAR_ALIKE) for words in said]
    assert np.mean(met) > 0.4


def test_a_batch_knows_which_phrases_are_the_same() -> None:
    heard, which = words().batch(np.random.default_rng(0), network.FRAMES)
    assert heard.shape == (len(which), network.FRAMES, features.MELS)
    assert heard.dtype == np.float32
    assert np.isfinite(heard).all()
    counts = np.unique(which, return_counts=True)[1]
    assert set(counts) == {batches.SPEAKERS}


def test_a_step_always_draws_the_same_batch() -> None:
    some = words()
    (first, same), (again, too) = (
        some.batch(np.random.default_rng((0, 7)), network.FRAMES) for _ in range(2)
    )
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(same, too)


@pytest.mark.parametrize("frames", [1, 9, 30, 31, 200])
def test_what_is_heard_again_stays_sound_and_leaves_the_first_alone(frames: int) -> None:
    heard = np.random.default_rng(0).normal(-8, 2, (frames, features.MELS)).astype(np.float32)
    before = heard.copy()
    for seed in range(10):
        again = heard_again(heard, np.random.default_rng(seed))
        assert again.dtype == np.float32
        assert again.shape[1] == features.MELS
        assert abs(len(again) - frames) <= 8
        assert np.isfinite(again).all()
    np.testing.assert_array_equal(heard, before)


def held(texts: int = 3, takes: int = 8) -> tuple[Clips, list[PhraseEmbedding]]:
    """Two held-out speakers whose words are all told apart but for the last two."""
    random = np.random.default_rng(0)
    kinds = [unit_rows(random.normal(size=(5, 16)).astype(np.float32)) for _ in range(texts - 1)]
    kinds.append(kinds[-1])
    labels, points = [], []
    for speaker in "ab":
        for number, kind in enumerate(kinds):
            for _ in range(takes):
                labels.append({"corpus": "c", "speaker": speaker, "text": str(number)})
                points.append(unit_rows(kind + random.normal(0, 0.01, kind.shape).astype("f4")))
    nothing = np.zeros(0, np.int64)
    return Clips(np.zeros(0, np.int16), nothing, nothing, labels), points


def test_the_threshold_is_one_that_few_right_words_miss() -> None:
    figures = fit.development(*held())
    assert (figures["right"], figures["wrong"]) == (2 * 3 * 3, 2 * 3 * 2 * 3)
    assert 0.9 < figures["threshold"] < 1
    assert 0.1 < figures["wrong_passed"] <= 1 / 3  # of those that sound alike


def test_too_few_takes_pass_nothing() -> None:
    assert fit.development(*held(takes=5)) == {"threshold": 1.0}


def test_shares_are_of_trials_at_one_threshold() -> None:
    right = {"a": [0.9] * 50, "b": [0.8] * 49 + [0.1]}
    wrong = {"wrong": {"a": [0.5] * 9 + [0.95], "b": [0.2] * 10}}
    trials = PhraseTrials(right, wrong)
    assert trials.at(0.6) == {"missed": 0.01, "wrong": 0.05}
    assert trials.at(0.6, ["b"]) == {"missed": 0.02, "wrong": 0.0}
    found = trials.figures({"at_card": trials.at(0.3)})
    assert found["right"] == 100
    assert found["missed"]["share"] <= 0.02
    assert found["wrong"]["trials"] == 20
    assert found["wrong"]["at_card"] == 0.5
    low, high = found["wrong"]["interval"]
    assert low <= found["wrong"]["share"] <= high


def test_joins_share_a_half_with_the_enrolled_phrase(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "PHRASES", (("x", "y"),))
    sounds: dict[tuple[str, str, int], Samples] = {
        (text, "s", take): np.full(10, number, np.float32)
        for number, text in enumerate("xyz")
        for take in range(1, 9)
    }
    made = protocol._joins(sounds, list("xyz"), lambda sound: sound)
    assert set(made) == {("x", "x"), ("x", "y"), ("x", "z"), ("y", "y"), ("z", "y")}
    assert {take for _, _, take in made["x", "y"]} == set(range(1, 9))
    assert {take for _, _, take in made["x", "z"]} == {6, 7, 8}  # nobody enrolls with it
    whole = made["x", "z"]["xz", "s", 6]
    assert (whole[0], whole[-1]) == (0, 2)


def test_a_school_learns_its_threshold_from_what_is_enrolled() -> None:
    _, points = held()
    enrolled = {"a": points[:5], "b": points[24:29]}
    assert 0.9 < protocol.learned(enrolled, card=0.5) < 1
    assert protocol.learned({"a": [points[0], points[8]]}, card=0.9) == pytest.approx(0.75)


shipped = pytest.mark.skipif(not PHRASE.exists(), reason="no phrase encoder is shipped yet")


@shipped
def test_what_an_enrolled_speaker_says_is_measured(tiny_phrases: list[Row]) -> None:
    encoder = PhraseEncoder()
    found = protocol.evaluate(tiny_phrases, encoder)
    assert set(found) == {"mandarin20", "joined"}  # nobody of arabic40 is there
    assert found["mandarin20"]["right"] == 2 * 3 * 3  # texts, speakers, probes
    assert found["joined"]["half right"]["trials"] == 3 * 2 * 3  # speakers, doubled words, probes
    for figures in found.values():
        assert -1 <= figures["threshold"] <= 1
        for kind in set(figures) - {"threshold", "right"}:
            shares = [figures[kind][name] for name in ("share", "at_card", "at_school")]
            assert all(0 <= share <= 1 for share in (*shares, *figures[kind]["interval"]))
    json.dumps(found)


@pytest.mark.slow
@shipped
def test_a_phrase_costs_less_than_the_voice() -> None:
    assert 0 < protocol.cost(PhraseEncoder(), Encoder()) < 1


@pytest.mark.slow
@shipped
@pytest.mark.filterwarnings("ignore:.*:DeprecationWarning")
def test_the_command_trains_exports_and_measures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    manifest, out = tmp_path / "manifest.csv", tmp_path / "phrase.tflite"
    manifest.write_text("path,corpus,split,speaker,text\n", encoding="utf-8")
    asked: list[object] = []

    def exported(rows: object, folder: Path, path: Path) -> None:
        path.write_bytes(PHRASE.read_bytes())
        path.with_suffix(".json").write_bytes(PHRASE.with_suffix(".json").read_bytes())

    monkeypatch.setattr(fit, "fit", lambda rows, folder, plan: asked.append(plan.steps))
    monkeypatch.setattr(fit, "export", exported)
    monkeypatch.setattr(protocol, "evaluate", lambda rows, encoder: {"joined": 0.25})
    command = ["phrase", str(manifest), "--folder", str(tmp_path), "--out", str(out)]
    assert main.main([*command, "--steps", "7"]) == 0
    assert asked == [7]
    shown = json.loads(capsys.readouterr().out)
    assert shown["measured"]["eval"]["joined"] == 0.25
    assert 0 < shown["measured"]["eval"]["adds_of_time"] < 1
