"""Kaimen 开门: a voice gate.

These are the names that programs of your own begin with. Each is loaded when it is first used, so
that ``import kaimen`` costs nothing and needs neither pins nor a microphone. Everything else is in
the rooms, such as ``kaimen.audit``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kaimen.access.decision import Decision as Decision
    from kaimen.access.decision import Verdict as Verdict
    from kaimen.access.policy import AccessPolicy as AccessPolicy
    from kaimen.calibration.calibration import Calibration as Calibration
    from kaimen.calibration.learning import calibrate as calibrate
    from kaimen.door.pins import mock_pins as mock_pins
    from kaimen.door.relay import Relay as Relay
    from kaimen.errors import DeviceError as DeviceError
    from kaimen.errors import EncoderError as EncoderError
    from kaimen.errors import GalleryError as GalleryError
    from kaimen.errors import KaimenError as KaimenError
    from kaimen.errors import NoSpeech as NoSpeech
    from kaimen.errors import RecordingError as RecordingError
    from kaimen.gallery.gallery import Gallery as Gallery
    from kaimen.gate.gate import Gate as Gate
    from kaimen.registry.registry import Registry as Registry
    from kaimen.registry.student_rows import Student as Student
    from kaimen.registry.vault import Vault as Vault
    from kaimen.settings import Settings as Settings
    from kaimen.sound.microphone import Microphone as Microphone
    from kaimen.sound.recording import Recording as Recording
    from kaimen.sound.recording import main_phrase as main_phrase
    from kaimen.sound.recording import read as read
    from kaimen.voice.encoder import Encoder as Encoder
    from kaimen.voice.encoder import Voiceprint as Voiceprint

__version__ = "0.2.0"

_PLACES = {
    "Calibration": "calibration.calibration",
    "AccessPolicy": "access.policy",
    "Decision": "access.decision",
    "DeviceError": "errors",
    "Encoder": "voice.encoder",
    "EncoderError": "errors",
    "Gallery": "gallery.gallery",
    "GalleryError": "errors",
    "Gate": "gate.gate",
    "KaimenError": "errors",
    "Microphone": "sound.microphone",
    "NoSpeech": "errors",
    "Recording": "sound.recording",
    "RecordingError": "errors",
    "Registry": "registry.registry",
    "Relay": "door.relay",
    "Settings": "settings",
    "Student": "registry.student_rows",
    "Vault": "registry.vault",
    "Verdict": "access.decision",
    "Voiceprint": "voice.encoder",
    "calibrate": "calibration.learning",
    "main_phrase": "sound.recording",
    "mock_pins": "door.pins",
    "read": "sound.recording",
}
__all__ = list(_PLACES)


if not TYPE_CHECKING:  # a type checker would take it for every name there is

    def __getattr__(name: str) -> Any:
        """Load a public name from its room."""
        try:
            place = _PLACES[name]
        except KeyError:
            raise AttributeError(f"module 'kaimen' has no attribute {name!r}") from None
        value = globals()[name] = getattr(import_module(f"kaimen.{place}"), name)
        return value


def __dir__() -> list[str]:
    """Return the public names, loaded or not."""
    return sorted({*globals(), *__all__})
