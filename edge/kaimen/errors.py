"""What can go wrong, each with a sentence for a person and an exit code for a program.

Every error is Kaimen's own and a built-in one, so callers may catch either.
The exit codes are documented in ``docs/use/commands.md``; 2 is left to usage errors.
"""

from __future__ import annotations

from pathlib import Path


class KaimenError(Exception):
    """Anything Kaimen refuses to do; its text says what to do next."""

    exit_code = 1


class SettingsError(KaimenError, ValueError):
    """The configuration file or an option asks for something impossible."""

    exit_code = 2


class RecordingError(KaimenError, ValueError):
    """A recording cannot be used."""

    exit_code = 3

    def __init__(self, message: str, path: Path | str | None = None) -> None:
        self.path = None if path is None else str(path)
        self.reason = message
        super().__init__(message if path is None else f"{path}: {message}")

    def at(self, path: Path | str) -> RecordingError:
        """Return the same error, with the file it happened in."""
        return type(self)(self.reason, path)


class UnreadableRecording(RecordingError, OSError):
    """The file is missing, forbidden, empty, or no sound file."""


class UnsupportedFormat(UnreadableRecording):
    """A sound format that is known, but cannot be read here."""


class RecordingTooLong(RecordingError):
    """Longer than one phrase can be; a stream belongs into ``kaimen listen``."""


class BrokenSamples(RecordingError):
    """Samples that are no numbers: NaN or infinite."""


class NoSpeech(RecordingError):
    """Silence, noise, or too little voice to know anybody by."""


class SeveralPhrases(RecordingError):
    """More than the one phrase that a recording should hold."""


class EncoderError(KaimenError, RuntimeError):
    """The encoder or its card is missing, damaged, or does not fit this program."""

    exit_code = 4


class GalleryError(KaimenError, RuntimeError):
    """The gallery is missing, damaged, or made by another encoder."""

    exit_code = 4


class BundleError(KaimenError, ValueError):
    """A bundle, or what was installed of one, is not to be used."""

    exit_code = 4


class TruncatedBundle(BundleError):
    """The file ends before the bundle does."""


class ForgedBundle(BundleError):
    """Not what was signed: changed by chance, or by somebody."""


class ForeignBundle(BundleError):
    """Signed by a key that this gate was not given."""


class OlderBundle(BundleError):
    """Of an older version than one that was active before."""


class UnfitBundle(BundleError):
    """Its parts do not fit together, or not this program, or not this school."""


class FailedSelfTest(BundleError):
    """Its models do not do here what they did where the bundle was made."""


class CertificateError(KaimenError, ValueError):
    """A certificate of an erasure that is forged, of another school, or of somebody else."""

    exit_code = 4


class FleetError(KaimenError, RuntimeError):
    """The fleet's keys, its broker or an answer of another machine is missing or unfit."""

    exit_code = 4


class MessageError(FleetError, ValueError):
    """A message of the fleet is not to be used."""


class TruncatedMessage(MessageError):
    """The message ends before it is whole."""


class ForeignMessage(MessageError):
    """Signed by a desk that this machine was not given."""


class ForgedMessage(MessageError):
    """Not what was signed and sealed for this topic: changed by chance, or by somebody."""


class OlderMessage(MessageError):
    """Of an older version than one that was taken before."""


class StorageError(KaimenError, OSError):
    """Something could not be written; what was there before is untouched."""

    exit_code = 6


class DiskFull(StorageError):
    """A disk has no room left; what was there before is untouched."""


class UpdateError(KaimenError, RuntimeError):
    """No newer version can be had; the installed one stays."""

    exit_code = 7


class DeviceError(KaimenError, OSError):
    """A microphone or a pin cannot be used."""

    exit_code = 5


class OpeningRefused(DeviceError):
    """The door is there and well enough to say why it did not open."""


class MicrophoneLost(DeviceError):
    """The microphone is not there, or stopped delivering sound."""
