"""A microphone, played by a module that stands in for PortAudio's binding."""

from __future__ import annotations

import signal
import subprocess
import sys
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from kaimen.errors import DeviceError, MicrophoneLost
from kaimen.interrupt import handled
from kaimen.sound import BLOCK, SAMPLE_RATE, Samples, microphone
from kaimen.sound.high_pass import HighPass
from kaimen.sound.microphone import Microphone, connected
from tests.portaudio import FakePortAudio, PortAudioError, device
from tests.sounds import pitch_of, tone


@pytest.fixture
def portaudio(monkeypatch: pytest.MonkeyPatch) -> FakePortAudio:
    fake = FakePortAudio(
        device(0, "HDMI", inputs=0), device(1, "USB PnP Sound Device", 48000.0), device(2, "Webcam")
    )
    monkeypatch.setitem(sys.modules, "sounddevice", fake)
    monkeypatch.setattr(microphone, "PATIENCE", 0.1)
    return fake


def hear_all(listener: Microphone) -> Samples:
    """Everything until the microphone is lost."""
    blocks: list[Samples] = []
    with pytest.raises(MicrophoneLost):
        for block in listener.blocks():
            assert block.shape == (BLOCK,)
            assert block.dtype == np.float32
            blocks.append(block)
    return np.concatenate(blocks) if blocks else np.zeros(0, np.float32)


def test_a_microphone_is_chosen_by_a_part_of_its_name(portaudio: FakePortAudio) -> None:
    assert Microphone("usb pnp").name == "USB PnP Sound Device"


def test_without_a_name_the_systems_default_is_taken(portaudio: FakePortAudio) -> None:
    assert Microphone().name == "Webcam"


def test_an_unknown_name_is_answered_with_the_known_ones(portaudio: FakePortAudio) -> None:
    with pytest.raises(DeviceError, match="'studio'; connected: USB PnP Sound Device, Webcam"):
        Microphone("studio")


def test_a_loudspeaker_is_no_microphone(portaudio: FakePortAudio) -> None:
    with pytest.raises(DeviceError):
        Microphone("HDMI")


@pytest.mark.parametrize("name", [None, "USB"])
def test_where_no_microphone_is_connected_one_is_told_so(
    portaudio: FakePortAudio, name: str | None
) -> None:
    portaudio.devices = (device(0, "HDMI", inputs=0),)
    with pytest.raises(DeviceError, match="plug one in") as caught:
        Microphone(name)
    assert caught.value.exit_code == 5


def test_a_portaudio_that_cannot_answer_is_a_device_error(portaudio: FakePortAudio) -> None:
    portaudio.failure = PortAudioError("Error querying device -1")
    with pytest.raises(DeviceError, match="Error querying device -1"):
        Microphone()


def test_ctrl_c_waits_until_portaudio_has_begun(portaudio: FakePortAudio) -> None:
    portaudio.beginnings = [signal.SIGINT]
    with handled(signal.default_int_handler, signal.SIGINT), pytest.raises(KeyboardInterrupt):
        connected()
    assert portaudio._initialized == 1  # it is ended once at exit


def test_a_portaudio_that_did_not_begin_is_asked_again(portaudio: FakePortAudio) -> None:
    portaudio.beginnings = [PortAudioError("Error initializing PortAudio: Insufficient memory")]
    with pytest.raises(MicrophoneLost, match=r"does not begin: .* Insufficient memory"):
        Microphone()
    assert portaudio._initialized == 0
    assert Microphone().name == "Webcam"


def test_a_portaudio_that_fails_as_it_is_imported_is_a_lost_microphone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sounddevice.py").write_text("raise Exception('Error initializing PortAudio')")
    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(MicrophoneLost, match="does not begin: Error initializing PortAudio"):
        Microphone()


def test_sound_at_48_khz_keeps_its_pitch_and_its_length(portaudio: FakePortAudio) -> None:
    portaudio.sound = tone(1000, 1, 48000)
    heard = hear_all(Microphone("USB"))
    assert portaudio.opened["samplerate"] == 48000
    assert portaudio.opened["blocksize"] == 960  # 20 ms
    assert portaudio.opened["device"] == 1
    assert portaudio.opened["latency"] == 0.1  # s: no sound is lost while others are at work
    assert len(heard) == pytest.approx(SAMPLE_RATE, abs=3 * BLOCK)
    assert pitch_of(heard[4000:12000]) == pytest.approx(1000, abs=2)


def test_sound_at_16_khz_is_heard_sample_by_sample(portaudio: FakePortAudio) -> None:
    portaudio.sound = tone(1000, 1)
    heard = hear_all(Microphone("Webcam"))
    assert len(heard) >= SAMPLE_RATE - BLOCK
    passed = HighPass(SAMPLE_RATE)(portaudio.sound)
    np.testing.assert_allclose(heard, passed[: len(heard)], atol=1e-6)


def test_an_offset_of_the_microphone_is_not_heard(portaudio: FakePortAudio) -> None:
    portaudio.sound = np.full(48000, 0.1, np.float32)
    assert np.abs(hear_all(Microphone("USB"))).max() < 1e-5


def test_sound_never_leaves_full_scale(portaudio: FakePortAudio) -> None:
    portaudio.sound = np.sign(tone(300, 0.5, 48000))
    assert np.abs(hear_all(Microphone("USB"))).max() <= 1


def test_a_sample_that_is_no_number_does_not_outlive_its_moment(portaudio: FakePortAudio) -> None:
    portaudio.sound = tone(1000, 1, 48000)
    portaudio.sound[12000] = np.nan
    heard = hear_all(Microphone("USB"))
    assert np.isfinite(heard).all()
    assert pitch_of(heard[8000:]) == pytest.approx(1000, abs=4)


def test_a_microphone_that_falls_silent_is_lost(portaudio: FakePortAudio) -> None:
    listener = Microphone("Webcam")
    with pytest.raises(MicrophoneLost, match=r"Webcam: no sound for 0\.1 s; check its plug"):
        next(listener.blocks())
    assert portaudio.closed


def test_a_microphone_that_cannot_be_opened_is_lost(portaudio: FakePortAudio) -> None:
    listener = Microphone("Webcam")
    portaudio.failure = PortAudioError("Device unavailable")
    with pytest.raises(MicrophoneLost, match="Webcam: Device unavailable"):
        next(listener.blocks())


def test_who_stops_listening_closes_the_stream(portaudio: FakePortAudio) -> None:
    portaudio.sound = tone(1000, 1)
    blocks = Microphone("Webcam").blocks()
    assert len(list(islice(blocks, 3))) == 3
    assert not portaudio.closed
    blocks.close()  # type: ignore[attr-defined]
    assert portaudio.closed


def test_what_portaudio_had_to_drop_is_counted(portaudio: FakePortAudio) -> None:
    portaudio.sound = tone(1000, 0.1)
    portaudio.status = "input overflow"
    listener = Microphone("Webcam")
    hear_all(listener)
    assert listener.overruns == 5  # one for each block of 20 ms


def test_sound_that_finds_the_queue_full_is_counted(
    portaudio: FakePortAudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(microphone, "WAITING", 2)
    # Nobody takes anything out while the stream is being entered.
    monkeypatch.setattr(FakePortAudio, "__enter__", lambda self: self.play() or self)
    portaudio.sound = tone(1000, 0.1)
    listener = Microphone("Webcam")
    hear_all(listener)
    assert listener.overruns == 3


def test_where_portaudio_is_missing_its_package_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sounddevice.py").write_text("raise OSError('PortAudio library not found')")
    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(DeviceError, match="libportaudio2"):
        Microphone()


def test_portaudio_is_not_asked_for_until_a_microphone_is_opened() -> None:
    program = "import sys, kaimen.sound.microphone; sys.exit('sounddevice' in sys.modules)"
    project = Path(__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", program], cwd=project, check=False).returncode == 0
