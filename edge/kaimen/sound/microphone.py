"""A microphone as a source: any PortAudio device, at its own rate, resampled to 16 kHz."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from typing import Any

import numpy as np
import soxr

from kaimen.errors import DeviceError, MicrophoneLost
from kaimen.sound import BLOCK, SAMPLE_RATE, Samples
from kaimen.sound.high_pass import HighPass

PATIENCE = 2.0  # seconds without sound after which a microphone is lost
WAITING = 500  # blocks kept while a decision is made; more is counted as an overrun


def _sounddevice() -> Any:
    """PortAudio's binding, imported only here: a gate fed from files does without."""
    try:
        import sounddevice
    except (ImportError, OSError):
        raise DeviceError(
            "PortAudio is not installed; on Debian: sudo apt-get install libportaudio2"
        ) from None
    return sounddevice


def _refreshed() -> Any:
    """PortAudio, knowing what is plugged in now: it lists devices only when it begins."""
    portaudio = _sounddevice()
    portaudio._terminate()
    portaudio._initialize()
    return portaudio


def _inputs(portaudio: Any) -> list[dict[str, Any]]:
    try:
        return [d for d in portaudio.query_devices() if d["max_input_channels"] > 0]
    except portaudio.PortAudioError as error:
        raise MicrophoneLost(f"no microphone can be asked for: {error}") from None


def connected() -> list[str]:
    """The names of all microphones there are. Raises DeviceError where nobody can be asked."""
    return [str(device["name"]) for device in _inputs(_refreshed())]


class Microphone:
    """A microphone, chosen by a part of its name; the system's default without one.

    Raises MicrophoneLost where it is not there, and DeviceError without PortAudio.
    """

    floor: float | None = None  # a room is learned by listening

    def __init__(self, name: str | None = None) -> None:
        self._portaudio = _refreshed()
        self._device = self._find(name)
        self.name: str = self._device["name"]
        self.rate = int(self._device["default_samplerate"])
        self.overruns = 0  # times PortAudio had to drop sound

    def _find(self, name: str | None) -> dict[str, Any]:
        devices = _inputs(self._portaudio)
        try:
            if not name and devices:
                return dict(self._portaudio.query_devices(kind="input"))
        except self._portaudio.PortAudioError as error:
            raise MicrophoneLost(f"no microphone can be asked for: {error}") from None
        if not devices:
            raise MicrophoneLost("no microphone is connected; plug one in, or check 'arecord -l'")
        matching = [d for d in devices if name and name.lower() in d["name"].lower()]
        if not matching:
            known = ", ".join(sorted({d["name"] for d in devices}))
            raise MicrophoneLost(f"no microphone is called {name!r}; connected: {known}")
        return dict(matching[0])

    def blocks(self) -> Iterator[Samples]:
        """Yield blocks of shape (BLOCK,) as they are heard. Raises MicrophoneLost."""
        heard: queue.Queue[Samples] = queue.Queue(WAITING)

        def keep(data: Samples, frames: int, when: Any, status: Any) -> None:
            if status:
                self.overruns += 1
            try:
                heard.put_nowait(data[:, 0].copy())
            except queue.Full:
                self.overruns += 1

        high_pass = HighPass(self.rate)
        resampler = soxr.ResampleStream(self.rate, SAMPLE_RATE, 1, dtype="float32")
        rest = np.zeros(0, np.float32)
        try:
            with self._portaudio.InputStream(
                device=self._device["index"],
                samplerate=self.rate,
                channels=1,
                dtype="float32",
                blocksize=self.rate * BLOCK // SAMPLE_RATE,
                callback=keep,
            ):
                while True:
                    try:
                        sound = high_pass(np.nan_to_num(heard.get(timeout=PATIENCE)))
                    except queue.Empty:
                        raise MicrophoneLost(
                            f"{self.name}: no sound for {PATIENCE:g} s; check its plug"
                        ) from None
                    sound = resampler.resample_chunk(sound)
                    rest = np.concatenate((rest, np.clip(sound, -1, 1)))
                    whole = len(rest) // BLOCK * BLOCK
                    yield from rest[:whole].reshape(-1, BLOCK)
                    rest = rest[whole:]
        except self._portaudio.PortAudioError as error:
            raise MicrophoneLost(f"{self.name}: {error}; check its plug") from None
