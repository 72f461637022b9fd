"""Every error is the project's own and a built-in, with an exit code for a program."""

from __future__ import annotations

import builtins
import inspect

import pytest

from kaimen import errors
from kaimen.errors import KaimenError

CODES = {
    "KaimenError": 1,
    "SettingsError": 2,
    "RecordingError": 3,
    "UnreadableRecording": 3,
    "UnsupportedFormat": 3,
    "RecordingTooLong": 3,
    "SeveralPhrases": 3,
    "BrokenSamples": 3,
    "NoSpeech": 3,
    "EncoderError": 4,
    "GalleryError": 4,
    "CertificateError": 4,
    "BundleError": 4,
    "TruncatedBundle": 4,
    "ForgedBundle": 4,
    "ForeignBundle": 4,
    "OlderBundle": 4,
    "UnfitBundle": 4,
    "FailedSelfTest": 4,
    "FleetError": 4,
    "MessageError": 4,
    "TruncatedMessage": 4,
    "ForeignMessage": 4,
    "ForgedMessage": 4,
    "OlderMessage": 4,
    "StorageError": 6,
    "DiskFull": 6,
    "DeviceError": 5,
    "MicrophoneLost": 5,
    "OpeningRefused": 5,
    "UpdateError": 7,
}
KINDS = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if kind.__module__ == errors.__name__
]


def test_the_exit_codes_are_those_that_scripts_rely_on() -> None:
    assert {kind.__name__: kind.exit_code for kind in KINDS} == CODES


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_error_is_the_projects_own_and_a_built_in(kind: type[KaimenError]) -> None:
    assert issubclass(kind, KaimenError)
    if kind is not KaimenError:
        built_in = {base for base in kind.__mro__ if base.__module__ == builtins.__name__}
        assert built_in - {Exception, BaseException, object}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_error_reads_as_it_was_written(kind: type[KaimenError]) -> None:
    assert str(kind("one sentence")) == "one sentence"
