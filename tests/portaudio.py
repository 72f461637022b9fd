"""A module that stands in for PortAudio's binding."""

from __future__ import annotations

import signal
from types import ModuleType
from typing import Any

import numpy as np

from kaimen.sound import Samples


def device(index: int, name: str, rate: float = 16000.0, inputs: int = 1) -> dict[str, Any]:
    return {
        "index": index,
        "name": name,
        "max_input_channels": inputs,
        "default_samplerate": rate,
    }


class PortAudioError(Exception):
    """As sounddevice names it."""


class FakePortAudio(ModuleType):
    """Plays ``sound`` to whoever opens a stream, at once."""

    PortAudioError = PortAudioError
    rates: tuple[int, ...] = ()  # at which a device opens; all without
    channels: tuple[int, ...] = ()  # with which it opens; all without
    default = True  # whether there is a default device

    def __init__(self, *devices: dict[str, Any]) -> None:
        super().__init__("sounddevice")
        self.devices = devices
        self.sound: Samples = np.zeros(0, np.float32)
        self.status: object = None  # what PortAudio says with every block
        self.opened: dict[str, Any] = {}
        self.closed = False
        self.tries = 0  # to open a stream
        self.failure: Exception | None = None
        self.beginnings: list[Exception | int | None] = []  # what each brings: an error, a signal
        self._initialized = 1  # how often it has begun, as the binding counts it

    def _initialize(self) -> None:
        """Devices are listed now."""
        brought = self.beginnings.pop(0) if self.beginnings else None
        if isinstance(brought, Exception):
            raise brought
        if brought is not None:
            signal.raise_signal(brought)
        self._initialized += 1

    def _terminate(self) -> None:
        """And forgotten."""
        if not self._initialized:
            raise PortAudioError("Error terminating PortAudio: PortAudio not initialized")
        self._initialized -= 1

    def query_devices(self, kind: str | None = None) -> Any:
        if self.failure is not None:
            raise self.failure
        if kind is not None and not self.default:
            raise PortAudioError("Error querying device -1")
        return self.devices if kind is None else self.devices[-1]

    def InputStream(self, **options: Any) -> FakePortAudio:  # sounddevice's name
        self.tries += 1
        if self.failure is not None:
            raise self.failure
        if self.rates and options["samplerate"] not in self.rates:
            raise PortAudioError("Error opening InputStream: Invalid sample rate", -9997)
        if self.channels and options["channels"] not in self.channels:
            raise PortAudioError("Error opening InputStream: Invalid number of channels", -9998)
        self.opened = options
        return self

    def __enter__(self) -> FakePortAudio:
        self.play()  # all of it lies ready: nobody is late
        return self

    def play(self) -> None:
        size = self.opened["blocksize"]
        for start in range(0, len(self.sound) - size + 1, size):
            block = self.sound[start : start + size].reshape(size, -1).copy()
            self.opened["callback"](block, size, None, self.status)
            block[:] = np.nan  # PortAudio uses its memory again

    def __exit__(self, *_: object) -> None:
        self.closed = True
