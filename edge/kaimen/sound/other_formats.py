"""Formats that libsndfile cannot read: what phones and browsers record.

They are decoded by PyAV (``pip install 'kaimen[formats]'``) or by an ffmpeg that is installed.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from typing import Any

from kaimen.errors import UnreadableRecording, UnsupportedFormat
from kaimen.sound import libsndfile
from kaimen.sound.libsndfile import Blocks


@dataclass(frozen=True, slots=True)
class Format:
    """A format as people call it, and FFmpeg's name of what reads it."""

    name: str
    demuxer: str
    mark: bytes  # a pattern of how its files begin


# Those first that libsndfile is not asked for.
OTHERS = (
    Format("3GP", "mov", rb"....ftyp3g"),
    Format("M4A", "mov", rb"....(?:ftyp|moov|mdat|wide)"),
    Format("WebM", "matroska", rb"\x1aE\xdf\xa3"),
    Format("AMR", "amr", rb"#!AMR"),
    Format("AAC", "aac", rb"\xff[\xf0\xf1\xf8\xf9][^\xff]"),
    Format("WMA", "asf", rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11"),
)
# Those of which libsndfile reads what is mostly in them.
KINDS = (
    Format("Ogg", "ogg", rb"OggS"),
    Format("WAV", "wav", rb"(?:RIFF|RF64)....WAVE"),
    Format("AIFF", "aiff", rb"FORM....AIF[FC]"),
    Format("CAF", "caf", rb"caff"),
)
SUFFIXES = (".3ga", ".3gp", ".aac", ".amr", ".m4a", ".mka", ".mp4", ".webm", ".wma")


def format_of(head: bytes, formats: tuple[Format, ...]) -> Format | None:
    """Return which of the formats a file is that begins so."""
    return next((each for each in formats if re.match(each.mark, head, re.DOTALL)), None)


def blocks(descriptor: int, form: Format, longest: float) -> Blocks:
    """Yield rate in Hz and sound, shape (samples, channels), of a file that is open.

    Raises UnsupportedFormat where nothing here can read it, and UnreadableRecording.
    """
    path = f"/proc/self/fd/{descriptor}"
    try:
        import av
    except ImportError:
        program = shutil.which("ffmpeg")
        if program is None:
            raise UnsupportedFormat(
                f"{form.name} cannot be read here; install ffmpeg or 'kaimen[formats]', "
                "or convert it to WAV, FLAC or MP3"
            ) from None
        yield from _by_program(program, descriptor, path, form, longest)
        return
    try:
        yield from _by_library(av, path, form)
    except UnreadableRecording:
        raise
    except (av.FFmpegError, ValueError, IndexError):
        raise _damaged(form) from None


def _damaged(form: Format) -> UnreadableRecording:
    return UnreadableRecording(
        f"{form.name} that cannot be decoded; copy it again, or convert it to WAV, FLAC or MP3"
    )


def _by_library(av: Any, path: str, form: Format) -> Blocks:
    with av.open(path, format=form.demuxer, metadata_errors="replace") as file:
        if not file.streams.audio:
            raise UnreadableRecording(f"{form.name} without sound; record it again")
        floats: Any = None
        for frame in file.decode(file.streams.audio[0]):
            channels = frame.layout.nb_channels
            libsndfile.require_recorded(frame.rate, channels)
            if floats is None:
                floats = av.AudioResampler("flt", frame.layout, frame.rate)
            for converted in floats.resample(frame):
                yield converted.rate, converted.to_ndarray().reshape(-1, channels)


def _by_program(program: str, descriptor: int, path: str, form: Format, longest: float) -> Blocks:
    command = [
        program, "-nostdin", "-v", "quiet", "-xerror", "-protocol_whitelist", "file,pipe",
        "-f", form.demuxer, "-i", path, "-map", "0:a:0", "-t", f"{longest + 1:g}",
        "-c:a", "pcm_f32le", "-f", "wav", "pipe:1",
    ]  # fmt: skip
    with subprocess.Popen(
        command,
        bufsize=0,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        pass_fds=[descriptor],
    ) as running:
        assert running.stdout is not None
        try:
            yield from libsndfile.blocks(running.stdout.fileno())
        except libsndfile.Undecodable:
            raise _damaged(form) from None
        finally:
            running.stdout.close()
            if running.poll() is None:
                running.terminate()
    if running.returncode:
        raise _damaged(form)
