"""Name an MP3 whose bit rate is too low for its sampling rate and its channels.

Its speech reaches as high as any, but a noise of coding lies over it that is alike in all voices.
What it costs is in ``docs/figures/sound.md``.
"""

from __future__ import annotations

from kaimen.sound import mp3

LEAST = 0.9  # bits for a sample of a channel: 79 kbit/s in stereo at 44.1 kHz

TOO_FEW = (
    "an MP3 of so low a bit rate blurs the voice; "
    "record in mono, or with at least 128 kbit/s, or as WAV"
)


def has_too_few_bits(content: bytes) -> bool:
    """Return whether the content of a file is an MP3 that nowhere has enough bits for a voice."""
    if not (content.startswith(b"ID3") or mp3.HEADER.match(content)):
        return False
    streams = mp3.streams(content)
    return bool(streams) and max(stream.most_bits for stream in streams) < LEAST
