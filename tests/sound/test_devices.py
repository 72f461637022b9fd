"""Microphones that people plug in, each as PortAudio shows it: a voice is heard from all."""

from __future__ import annotations

import sys
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import soxr

from kaimen.errors import MicrophoneLost
from kaimen.rehearsal import RECORDINGS
from kaimen.sound import SAMPLE_RATE, Samples, microphone
from kaimen.sound.alsa import listed_as
from kaimen.sound.microphone import Microphone
from kaimen.sound.recording import main_phrase, read
from tests.portaudio import FakePortAudio, PortAudioError, device
from tests.sounds import noise

QUIET = -75.0  # dB, of a microphone's own noise


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(microphone, "PATIENCE", 0.2)


def plugged_in(monkeypatch: pytest.MonkeyPatch, *devices: dict) -> FakePortAudio:
    fake = FakePortAudio(*devices)
    monkeypatch.setitem(sys.modules, "sounddevice", fake)
    return fake


def voice(rate: int = SAMPLE_RATE) -> Samples:
    """A second of a quiet room, and a phrase."""
    sound = np.concatenate((noise(1.0, QUIET), read(RECORDINGS / "anning" / "phrase-1.mp3")))
    return sound if rate == SAMPLE_RATE else soxr.resample(sound, SAMPLE_RATE, rate)


def own_noise(like: Samples, seed: int) -> Samples:
    return np.resize(noise(2.0, QUIET, seed), like.shape)


def heard(listener: Microphone) -> Samples:
    """All that it hears, until it is lost."""
    blocks = []
    with pytest.raises(MicrophoneLost):
        for block in listener.blocks():
            blocks.append(block)
    return np.concatenate(blocks)


def is_heard(listener: Microphone) -> bool:
    """Whether the phrase comes through, whole."""
    found, whole = main_phrase(heard(listener)), main_phrase(voice())
    level, expected = (float(np.sqrt(np.mean(p.samples**2))) for p in (found, whole))
    return abs(found.seconds - whole.seconds) < 0.1 and 0.7 < level / expected < 1.4


def test_a_microphone_whose_listed_rate_does_not_open_is_opened_at_another_and_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fake = plugged_in(monkeypatch, device(0, "USB Microphone", 44_100.0))
    fake.rates = (48_000,)
    fake.sound = voice(48_000)
    listener = Microphone()
    assert is_heard(listener)
    assert listener.rate == 48_000
    assert listener.name == "USB Microphone, 48 kHz (44.1 does not open)"


def test_one_that_opens_at_no_rate_is_lost_with_the_first_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fake = plugged_in(monkeypatch, device(0, "USB Microphone", 44_100.0))
    fake.rates = (11_025,)
    with pytest.raises(MicrophoneLost, match="Invalid sample rate"):
        next(Microphone().blocks())


def test_one_that_is_taken_is_not_tried_again_at_other_rates(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fake = plugged_in(monkeypatch, device(0, "USB Microphone"))
    listener = Microphone()
    fake.failure = PortAudioError("Device unavailable", -9985)
    with pytest.raises(MicrophoneLost, match="Device unavailable"):
        next(listener.blocks())
    assert fake.tries == 1


def test_a_voice_on_the_second_channel_alone_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = plugged_in(monkeypatch, device(0, "Stereo", inputs=2))
    sound = voice()
    for dead in (np.zeros_like(sound), own_noise(sound, 3)):
        fake.sound = np.stack((dead, sound), axis=1)
        listener = Microphone()
        assert is_heard(listener)
        assert listener.name == "Stereo, channel 2 of 2"


def test_capsules_of_opposite_phase_do_not_cancel(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = plugged_in(monkeypatch, device(0, "Stereo", inputs=2))
    fake.sound = np.stack((voice(), -voice()), axis=1)
    assert is_heard(Microphone())


def test_of_two_good_channels_the_first_is_kept_however_their_levels_change(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fake = plugged_in(monkeypatch, device(0, "Stereo", inputs=2))
    sound = voice()
    sway = 10 ** (4 * np.sin(np.arange(len(sound)) / 2_000) / 20)  # 4 dB up and down
    fake.sound = np.stack((sound, (sound * sway).astype(np.float32)), axis=1)
    listener = Microphone()
    names = {listener.name for _ in islice(listener.blocks(), 100)}
    assert names == {"Stereo, channel 1 of 2"}


@pytest.mark.parametrize("channel", [0, 1])
def test_an_i2s_microphone_has_one_channel_of_two_and_an_offset(
    channel: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "snd_rpi_googlevoicehat_soundcar: Google voiceHAT SoundCard HiFi (hw:1,0)"
    fake = plugged_in(monkeypatch, device(0, name, 44_100.0, inputs=2))
    fake.rates, fake.channels = (48_000,), (2,)  # what an ICS-43434 or INMP441 is wired for
    sound = voice(48_000)
    fake.sound = np.zeros((len(sound), 2), np.float32)
    fake.sound[:, channel] = sound + np.float32(0.03)
    listener = Microphone("googlevoicehat")
    assert is_heard(listener)
    assert listener.name.endswith(f"channel {channel + 1} of 2")


def test_of_a_respeaker_the_processed_channel_is_heard_and_not_what_is_played(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name = "ReSpeaker 4 Mic Array (UAC1.0): USB Audio (hw:2,0)"
    fake = plugged_in(monkeypatch, device(0, name, inputs=6))
    fake.channels = (6,)
    sound = voice()
    raw = [0.3 * sound + own_noise(sound, seed) for seed in range(4)]
    fake.sound = np.stack((sound, *raw, 3 * sound[::-1]), axis=1).astype(np.float32)
    listener = Microphone("respeaker")
    assert is_heard(listener)
    assert listener.name.endswith("channel 1 of 6")


def test_a_headset_opens_with_its_one_channel(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = plugged_in(monkeypatch, device(0, "Jabra EVOLVE 20: USB Audio (hw:1,0)", 16_000.0))
    fake.sound = voice()
    listener = Microphone("jabra")
    assert is_heard(listener)
    assert listener.name == "Jabra EVOLVE 20: USB Audio (hw:1,0)"


def test_a_sound_server_is_asked_for_a_pair_of_channels(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = plugged_in(monkeypatch, device(0, "pipewire", 48_000.0, inputs=64))
    fake.sound = np.stack((voice(48_000),) * 2, axis=1)
    assert is_heard(Microphone())
    assert fake.opened["channels"] == 2


def test_where_a_service_has_no_default_the_first_card_is_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fake = plugged_in(monkeypatch, device(0, "dsnoop"), device(1, "USB: Audio (hw:1,0)"))
    fake.default = False
    assert Microphone().name == "USB: Audio (hw:1,0)"


@pytest.mark.parametrize(
    "name", ["hw:CARD=Device,DEV=0", "plughw:Device", "hw:1,0", "plughw:CARD=1", "HW:1"]
)
def test_a_card_is_found_by_its_alsa_name(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "Device").symlink_to("card1")
    assert listed_as(name, tmp_path) == "(hw:1,0)"
    plugged_in(monkeypatch, device(0, "Webcam: Audio (hw:0,0)"), device(1, "USB: Audio (hw:1,0)"))
    monkeypatch.setattr(microphone, "listed_as", lambda given: listed_as(given, tmp_path))
    assert Microphone(name).name == "USB: Audio (hw:1,0)"


def test_a_card_that_is_not_there_has_no_place_in_the_list(tmp_path: Path) -> None:
    assert listed_as("hw:CARD=Device", tmp_path) is None
    assert listed_as("USB PnP", tmp_path) is None
