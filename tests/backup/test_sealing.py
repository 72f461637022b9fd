"""What is sealed comes back as it was, or not at all."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from kaimen.backup import sealing
from kaimen.backup.sealing import CHUNK, HEAD, MAGIC, TAG, Cost, Opener, Sealer
from kaimen.errors import GalleryError

CHEAP = Cost(1, 1, 1)
PASSPHRASE = b"open sesame, please"
SIZES = st.sampled_from((0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 3 * CHUNK + 7))


def content_of(size: int) -> bytes:
    return np.random.default_rng(size).bytes(size)


def sealed(content: bytes, piece: int = 10_000) -> bytes:
    file = io.BytesIO()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sealing, "COST", CHEAP)
        sealer = Sealer(file, PASSPHRASE)
    for start in range(0, len(content), piece):
        sealer.write(content[start : start + piece])
    sealer.finish()
    return file.getvalue()


def opened(written: bytes, passphrase: bytes = PASSPHRASE, piece: int = 9_999) -> bytes:
    opener = Opener(io.BytesIO(written), passphrase)
    return b"".join(iter(lambda: opener.read(piece), b""))


def chunks(written: bytes) -> list[bytes]:
    body = written[HEAD.size :]
    return [body[at : at + CHUNK + TAG] for at in range(0, len(body), CHUNK + TAG)]


@given(SIZES, st.integers(1, 3 * CHUNK), st.integers(1, 3 * CHUNK))
def test_a_round_trip(size: int, written: int, read: int) -> None:
    assume(min(written, read) > 500 or size < 2)
    content = content_of(size)
    assert opened(sealed(content, written), piece=read) == content


@pytest.mark.parametrize("cost", [(17, 1, 1), (16, 1, 1), (31, 8, 1), (10, 65, 1), (10, 8, 17)])
def test_a_cost_that_scrypt_does_not_know_is_refused(cost: tuple[int, int, int]) -> None:
    written = sealed(b"school")
    magic, *_, salt = HEAD.unpack(written[: HEAD.size])
    with pytest.raises(GalleryError, match="not a backup that this Kaimen reads"):
        opened(HEAD.pack(magic, *cost, salt) + written[HEAD.size :])


@given(SIZES, st.data())
def test_any_flip_is_refused(size: int, data: st.DataObject) -> None:
    written = bytearray(sealed(content_of(size)))
    # The head, the first chunk's and the last bytes are as likely as all others together.
    near = st.integers(0, min(len(written) - 1, HEAD.size + TAG))
    place = data.draw(near | st.integers(0, len(written) - 1) | st.just(len(written) - 1))
    written[place] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(GalleryError):
        opened(bytes(written))


@given(SIZES, st.data())
def test_any_cut_is_refused(size: int, data: st.DataObject) -> None:
    written = sealed(content_of(size))
    ends = [HEAD.size + at * (CHUNK + TAG) for at in range(len(chunks(written)))]
    end = data.draw(st.sampled_from(ends) | st.integers(0, len(written) - 1))
    with pytest.raises(GalleryError):
        opened(written[:end])


def swapped(found: list[bytes]) -> list[bytes]:
    return [found[1], found[0], *found[2:]]


@pytest.mark.parametrize(
    "change",
    [
        swapped,
        lambda found: [found[0], *found],
        lambda found: found[1:],
        lambda found: [*found[:-2], found[-1]],
        lambda found: [*found, found[-1]],
        lambda found: [*found, b"x"],
        lambda found: [*found[:-1], chunks(sealed(content_of(3 * CHUNK + 7)))[-1]],
    ],
    ids=["swapped", "repeated", "first gone", "one gone", "last twice", "more", "of another file"],
)
def test_any_other_order_of_chunks_is_refused(
    change: Callable[[list[bytes]], list[bytes]],
) -> None:
    written = sealed(content_of(3 * CHUNK + 7))
    assert b"".join([written[: HEAD.size], *chunks(written)]) == written
    with pytest.raises(GalleryError):
        opened(written[: HEAD.size] + b"".join(change(chunks(written))))


def test_another_passphrase_opens_nothing() -> None:
    with pytest.raises(GalleryError, match="another passphrase"):
        opened(sealed(b"a school"), b"open sesame, pleasf")


def test_two_files_of_the_same_share_nothing() -> None:
    one, other = sealed(b"a school" * 10), sealed(b"a school" * 10)
    assert one[HEAD.size - 16 :][:16] != other[HEAD.size - 16 :][:16]
    assert chunks(one) != chunks(other)


@pytest.mark.parametrize(
    "cost", [(40, 8, 1), (24, 8, 1), (16, 255, 1), (16, 8, 255), (0, 8, 1), (20, 8, 1), (16, 8, 16)]
)
def test_nobody_is_made_to_take_more_memory_or_time(
    cost: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hashlib, "scrypt", None)  # refused before any work
    head = HEAD.pack(MAGIC, *cost, bytes(16))
    with pytest.raises(GalleryError):
        Opener(io.BytesIO(head + bytes(100)), PASSPHRASE)


def test_what_it_costs_to_guess() -> None:
    assert Cost().memory == 64 << 20
    assert len(Cost().key(PASSPHRASE, bytes(16))) == 32
