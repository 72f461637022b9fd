"""A microphone as a source: any PortAudio device, at a rate that opens, resampled to 16 kHz."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import soxr

from kaimen.errors import DeviceError, MicrophoneLost
from kaimen.interrupt import uninterrupted
from kaimen.sound import BLOCK, SAMPLE_RATE, Samples
from kaimen.sound.alsa import listed_as
from kaimen.sound.channel_stream import ChannelStream
from kaimen.sound.high_pass import HighPass

PATIENCE = 2.0  # seconds without sound after which a microphone is lost
RATES = (16_000, 48_000, 44_100, 32_000, 96_000, 8_000)  # Hz, tried after the listed one
MOST_CHANNELS = 8  # of a microphone; a sound server lists as many as it could mix
PAIR = 2  # channels that are asked of a sound server
WRONG_RATE, WRONG_CHANNELS = -9997, -9998  # PortAudio's errors that another try may mend
SLACK = 0.1  # seconds that the sound card keeps while other threads of this process are at work
WAITING = 500  # blocks kept while a decision is made; more is counted as an overrun


def _sounddevice() -> Any:
    """PortAudio's binding, imported only here: a gate fed from files does without."""
    try:
        import sounddevice
    except (ImportError, OSError):
        raise DeviceError(
            "PortAudio is not installed; on Debian: sudo apt-get install libportaudio2"
        ) from None
    except Exception as error:  # its own error, which cannot be named: it begins as it is imported
        raise MicrophoneLost(f"PortAudio does not begin: {error}") from None
    return sounddevice


def _refreshed() -> Any:
    """PortAudio, knowing what is plugged in now: it lists devices only when it begins.

    It counts its beginnings and ends them all at exit, so Ctrl-C must not fall between the two.
    """
    with uninterrupted():
        portaudio = _sounddevice()
        try:
            if portaudio._initialized:  # not after a beginning that failed
                portaudio._terminate()
            portaudio._initialize()
        except portaudio.PortAudioError as error:
            raise MicrophoneLost(f"PortAudio does not begin: {error}") from None
    return portaudio


def _inputs(portaudio: Any) -> list[dict[str, Any]]:
    try:
        return [d for d in portaudio.query_devices() if d["max_input_channels"] > 0]
    except portaudio.PortAudioError as error:
        raise MicrophoneLost(f"no microphone can be asked for: {error}") from None


def inputs() -> list[dict[str, Any]]:
    """Return PortAudio's own words on all microphones. Raises DeviceError as ``connected``."""
    return _inputs(_refreshed())


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
        self._listed = int(self._device["default_samplerate"])
        self._stream = ChannelStream()
        self.rate = self._listed  # Hz; once it is open, at which it opened
        self.channels = 0  # that it opened with; 0: not open yet
        self.overruns = 0  # times PortAudio had to drop sound

    @property
    def name(self) -> str:
        """Its name; once it is open, what else is to be known: a rate not listed, the channel."""
        said = [str(self._device["name"])]
        if self.rate != self._listed:
            said.append(f"{self.rate / 1000:g} kHz ({self._listed / 1000:g} does not open)")
        if self.channels > 1:
            said.append(f"channel {self._stream.channel + 1} of {self.channels}")
        return ", ".join(said)

    def _find(self, name: str | None) -> dict[str, Any]:
        devices = _inputs(self._portaudio)
        if not devices:
            raise MicrophoneLost("no microphone is connected; plug one in, or check 'arecord -l'")
        if not name:
            return self._default(devices)
        wanted = (listed_as(name) or name).lower()
        matching = [d for d in devices if wanted in d["name"].lower()]
        if not matching:
            known = ", ".join(sorted({d["name"] for d in devices}))
            raise MicrophoneLost(f"no microphone is called {name!r}; connected: {known}")
        return dict(matching[0])

    def _default(self, devices: list[dict[str, Any]]) -> dict[str, Any]:
        """Return the system's; where a service has none, the first card."""
        try:
            return dict(self._portaudio.query_devices(kind="input"))
        except self._portaudio.PortAudioError:
            cards = [each for each in devices if "(hw:" in each["name"]]
            return dict((cards or devices)[0])

    def _opened(self, keep: Callable[[Samples, int, Any, Any], None]) -> Any:
        """A stream at the first rate and number of channels that open. Raises PortAudioError."""
        most = int(self._device["max_input_channels"])
        usual = most if most <= MOST_CHANNELS else PAIR
        failed: Exception | None = None
        for rate in dict.fromkeys((self._listed, *RATES)):
            for channels in dict.fromkeys((usual, min(most, PAIR), 1)):
                try:
                    stream = self._portaudio.InputStream(
                        device=self._device["index"],
                        samplerate=rate,
                        channels=channels,
                        dtype="float32",
                        blocksize=rate * BLOCK // SAMPLE_RATE,
                        latency=SLACK,
                        callback=keep,
                    )
                except self._portaudio.PortAudioError as error:
                    if error.args[1:2] not in ((WRONG_RATE,), (WRONG_CHANNELS,)):
                        raise
                    failed = failed or error
                    continue
                self.rate, self.channels = rate, channels
                return stream
        assert failed is not None
        raise failed

    def blocks(self) -> Iterator[Samples]:
        """Yield blocks of shape (BLOCK,) as they are heard. Raises MicrophoneLost."""
        heard: queue.Queue[Samples] = queue.Queue(WAITING)

        def keep(data: Samples, frames: int, when: Any, status: Any) -> None:
            if status:
                self.overruns += 1
            try:
                heard.put_nowait(data.copy())
            except queue.Full:
                self.overruns += 1

        try:
            with self._opened(keep):
                convert = _Converter(self.rate, self.channels)
                rest = np.zeros(0, np.float32)
                while True:
                    try:
                        sound = heard.get(timeout=PATIENCE)
                    except queue.Empty:
                        raise MicrophoneLost(
                            f"{self.name}: no sound for {PATIENCE:g} s; check its plug"
                        ) from None
                    rest = np.concatenate((rest, self._stream(convert(sound))))
                    whole = len(rest) // BLOCK * BLOCK
                    yield from rest[:whole].reshape(-1, BLOCK)
                    rest = rest[whole:]
        except self._portaudio.PortAudioError as error:
            raise MicrophoneLost(f"{self.name}: {error}; check its plug") from None


class _Converter:
    """Brings blocks of several channels to 16 kHz, each without an offset and hum."""

    def __init__(self, rate: int, channels: int) -> None:
        self._high_passes = [HighPass(rate) for _ in range(channels)]
        self._resampler = soxr.ResampleStream(rate, SAMPLE_RATE, channels, dtype="float32")

    def __call__(self, block: Samples) -> Samples:
        passed = [
            each(np.nan_to_num(channel))
            for each, channel in zip(self._high_passes, block.T, strict=True)
        ]
        sound = self._resampler.resample_chunk(np.stack(passed, axis=1))
        clipped: Samples = np.clip(sound, -1, 1)
        return clipped
