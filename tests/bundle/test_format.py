"""The file: what was signed comes back, and whatever else it is, it is refused in its own words."""

from __future__ import annotations

import datetime
import json
import re
import struct
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaimen.bundle.bundle import (
    LARGEST,
    LENGTH,
    LONGEST,
    MAGIC,
    START,
    TRIAL,
    Bundle,
    Manifest,
    Part,
    Policy,
    make,
)
from kaimen.bundle.signing import SIGNATURE, Trusted
from kaimen.errors import BundleError, ForeignBundle, ForgedBundle, TruncatedBundle, UnfitBundle
from tests.bundle.made import TINY, key_in, tiny

ZONE = datetime.timezone(datetime.timedelta(hours=8))
NAMES = st.from_regex(r"[a-z0-9][a-z0-9-]{0,8}\.[a-z0-9]{1,6}", fullmatch=True)
SHOWN = st.text(st.characters(categories=["L", "N", "P"]), min_size=1, max_size=20)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, Path, Trusted]:
    """The bytes of a bundle, a place for changed ones, and who trusts it."""
    path, trusted = tiny(tmp_path_factory.mktemp("bundle"))
    return path.read_bytes(), path.with_name("changed.kaimen"), trusted


def refusal(path: Path, trusted: Trusted) -> BundleError:
    """Why a file is not taken; nothing of it came through."""
    with pytest.raises(BundleError) as caught:
        for _ in Bundle.open(path, trusted).parts():
            pass
    assert caught.value.exit_code == 4
    assert str(path) in str(caught.value)
    return caught.value


@given(
    parts=st.dictionaries(NAMES, st.binary(max_size=64), max_size=6),
    name=SHOWN,
    version=st.integers(1, 1 << 40),
    fpir=st.none() | st.floats(0.0001, 0.5),
    trial=st.integers(0, 1000),
)
def test_what_was_signed_comes_back(
    tmp_path_factory: pytest.TempPathFactory,
    parts: dict[str, bytes],
    name: str,
    version: int,
    fpir: float | None,
    trial: int,
) -> None:
    folder = tmp_path_factory.mktemp("made")
    path, key = folder / "made.kaimen", key_in(folder)
    made = make(path, parts, key, name=name, version=version, policy=Policy(fpir, trial))
    found = Bundle.open(path, Trusted(folder))
    assert found.manifest == made
    assert (made.name, made.version, made.policy) == (name, version, Policy(fpir, trial))
    assert {part.name: content for part, content in found.parts()} == parts
    assert Manifest.read(made.rendered()) == made
    found.unpack(folder / "slot")
    again = Bundle.unpacked(folder / "slot", Trusted(folder))
    assert (again.manifest, again.head) == (found.manifest, found.head)


def test_every_flipped_byte_is_refused(bundle: tuple[bytes, Path, Trusted]) -> None:
    content, path, trusted = bundle
    for place in range(len(content)):
        changed = bytearray(content)
        changed[place] ^= 1 << (place % 8)
        path.write_bytes(changed)
        error = refusal(path, trusted)
        if place < len(MAGIC):
            assert "not a bundle" in str(error)
        elif place < START - LENGTH.size:
            assert isinstance(error, ForeignBundle)
        else:
            assert isinstance(error, ForgedBundle | TruncatedBundle)


def test_every_cut_is_refused(bundle: tuple[bytes, Path, Trusted]) -> None:
    content, path, trusted = bundle
    for length in range(1, len(content)):
        path.write_bytes(content[:length])
        assert isinstance(refusal(path, trusted), TruncatedBundle)
    path.write_bytes(b"")
    assert "not a bundle" in str(refusal(path, trusted))


@given(mixture=st.binary(max_size=300))
def test_whatever_follows_the_magic_is_refused(
    bundle: tuple[bytes, Path, Trusted], mixture: bytes
) -> None:
    _, path, trusted = bundle
    path.write_bytes(MAGIC + mixture)
    refusal(path, trusted)


def test_what_is_appended_is_refused(bundle: tuple[bytes, Path, Trusted]) -> None:
    content, path, trusted = bundle
    path.write_bytes(content + b"\0")
    error = refusal(path, trusted)
    assert isinstance(error, ForgedBundle) and "longer than what was signed" in str(error)


def test_parts_of_another_bundle_are_refused(bundle: tuple[bytes, Path, Trusted]) -> None:
    content, path, trusted = bundle
    size = sum(map(len, TINY.values()))
    path.write_bytes(content[:-size] + bytes(size))
    error = refusal(path, trusted)
    assert isinstance(error, ForgedBundle) and "encoder.tflite is not what was signed" in str(error)


def test_a_length_of_gigabytes_fills_no_memory(bundle: tuple[bytes, Path, Trusted]) -> None:
    content, path, trusted = bundle
    changed = bytearray(content)
    changed[START - LENGTH.size : START] = LENGTH.pack(3 << 30)
    path.write_bytes(bytes(changed) + bytes(2 * LONGEST))
    tracemalloc.start()
    try:
        assert isinstance(refusal(path, trusted), ForgedBundle)
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


# What a key may sign, and a program still refuses


def signed(folder: Path, manifest: bytes) -> tuple[Path, Trusted]:
    """A file with any manifest, rightly signed."""
    key = key_in(folder)
    signer = key.public_key().public_bytes_raw()
    head = MAGIC + signer + struct.pack("<I", len(manifest)) + manifest
    path = folder / "odd.kaimen"
    path.write_bytes(head + key.sign(head))
    return path, Trusted(folder)


def manifest_with(**changed: Any) -> bytes:
    manifest = Manifest("odd", 1, "0.1.0", "2026-11-01T00:00:00+00:00", Policy(), ())
    found = {**json.loads(manifest.rendered()), **changed}
    return json.dumps(found, sort_keys=True, separators=(",", ":")).encode()


@pytest.mark.parametrize(
    "manifest",
    [
        b"",
        b"{}",
        b"[]",
        b"\xff",
        b"[" * 50_000,
        manifest_with(colour="red"),
        manifest_with(version=0),
        manifest_with(version="3"),
        manifest_with(made=float("nan")),
        manifest_with(program="new"),
        manifest_with(program=None),
        manifest_with(policy={"fpir": 2, "trial": 50}),
        manifest_with(name="\n"),
        manifest_with(name=None),
        manifest_with(parts=[{"name": "../key", "size": 0, "sha256": ""}]),
        manifest_with(parts=[{"name": "a.b", "size": -1, "sha256": ""}]),
        manifest_with(parts=[{"name": "a.b", "size": 1 << 40, "sha256": ""}]),
        manifest_with(parts=[{"name": "a.b", "size": 0, "sha256": ""}] * 2),
        manifest_with().replace(b",", b", "),
    ],
)
def test_a_signed_manifest_that_is_none_is_refused(tmp_path: Path, manifest: bytes) -> None:
    error = refusal(*signed(tmp_path, manifest))
    assert isinstance(error, UnfitBundle) and "update the program" in str(error)


def test_a_bundle_of_a_later_program_is_refused(tmp_path: Path) -> None:
    path, trusted = tiny(tmp_path, program="99.0.0")
    with pytest.raises(UnfitBundle, match=r"made for Kaimen 99\.0\.0, and this is .*; update"):
        Bundle.open(path, trusted).manifest.require_program(path)


def test_a_bundle_that_lacks_a_model_is_refused(tmp_path: Path) -> None:
    key = key_in(tmp_path)
    path = tmp_path / "few.kaimen"
    parts = {name: content for name, content in TINY.items() if name != "phrase.json"}
    make(path, parts, key, name="few", version=1)
    with pytest.raises(UnfitBundle, match=r"lacks phrase\.json"):
        Bundle.open(path, Trusted(tmp_path)).manifest.require_program(path)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"version": 0}, "version"),
        ({"name": ""}, "name"),
        ({"name": "x" * 81}, "name"),
        ({"program": "soon"}, "program"),
    ],
)
def test_what_cannot_be_signed_is_said(tmp_path: Path, options: dict[str, Any], said: str) -> None:
    with pytest.raises(BundleError, match=said):
        tiny(tmp_path, **options)
    assert not list(tmp_path.glob("*.kaimen"))


BOUNDS = [
    (Policy, {"fpir": 1e-9}, {"fpir": 0}),
    (Policy, {"fpir": 1 - 1e-9}, {"fpir": 1}),
    (Policy, {"trial": 0}, {"trial": -1}),
    (Policy, {"trial": 1_000_000}, {"trial": 1_000_001}),
    (Manifest, {"name": "x" * 80}, {"name": "x" * 81}),
    (Manifest, {"version": 1}, {"version": 0}),
    (Manifest, {"version": (1 << 53) - 1}, {"version": 1 << 53}),
    (Manifest, {"parts": (Part("a.b", LARGEST, ""),)}, {"parts": (Part("a.b", LARGEST + 1, ""),)}),
]


@pytest.mark.parametrize(("kind", "fit", "unfit"), BOUNDS)
def test_what_may_be_signed_has_bounds(kind: Any, fit: Any, unfit: Any) -> None:
    others = {"name": "odd", "version": 1, "program": "0.1.0", "made": "", "policy": Policy()}
    given = {**others, "parts": ()} if kind is Manifest else {}
    kind(**{**given, **fit})
    with pytest.raises(ValueError, match=r"must be|larger than"):
        kind(**{**given, **unfit})


def test_a_part_is_named_once_and_without_a_path(tmp_path: Path) -> None:
    for name in ("../a.b", "a/b.c", ".a", "A.b", ""):
        with pytest.raises(BundleError, match="not named as parts are"):
            make(
                tmp_path / "x", {name: b""}, key_in(tmp_path, str(hash(name))), name="x", version=1
            )


def test_a_manifest_may_be_as_long_as_is_read(tmp_path: Path) -> None:
    key, at = key_in(tmp_path), datetime.datetime(2026, 11, 1, tzinfo=ZONE)
    shortest = make(tmp_path / "x", {"a.b": b""}, key, name="x", version=1, made=at)
    longest = "a" * (LONGEST - len(shortest.rendered()) + 1)
    for name in (longest, "a" + longest):
        path, parts = tmp_path / f"{len(name)}.kaimen", {f"{name}.b": b""}
        if name == longest:
            made = make(path, parts, key, name="x", version=1, made=at)
            assert made.made == "2026-10-31T16:00:00+00:00"
            assert Bundle.open(path, Trusted(tmp_path)).manifest == made
        else:
            with pytest.raises(BundleError, match="too many parts"):
                make(path, parts, key, name="x", version=1, made=at)


def test_a_manifest_has_one_form_and_so_one_identity() -> None:
    manifest = Manifest(
        "name", 7, "0.1.0", "2026-11-01T00:00:00+00:00", Policy(0.01), (Part("a.b", 1, "0" * 64),)
    )
    assert manifest.rendered() == (
        b'{"made":"2026-11-01T00:00:00+00:00","name":"name","parts":[{"name":"a.b","sha256":"'
        + b"0" * 64
        + b'","size":1}],"policy":{"fpir":0.01,"trial":%d},"program":"0.1.0","version":7}' % TRIAL
    )
    assert re.fullmatch("[0-9a-f]{64}", manifest.identity)


def test_the_bytes_are_where_the_page_says(bundle: tuple[bytes, Path, Trusted]) -> None:
    content, _, trusted = bundle
    (length,) = struct.unpack("<I", content[48:52])
    assert content[:16] == b"KAIMEN BUNDLE 1\n"
    assert content[16:48] in trusted.read()
    assert Manifest.read(content[52 : 52 + length]).version == 3
    assert content[52 + length + SIGNATURE :] == b"".join(TINY.values())
