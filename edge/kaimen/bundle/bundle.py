"""The bundle: everything that a gate hears with, in one signed file.

    magic | public key | length of the manifest | manifest | signature | parts, one after the other

The signature (Ed25519) is of all before it; the manifest, canonical JSON, names every part with its
size and SHA-256, so that it holds for all after it, too. Nothing is parsed before the signature is
found good, and nothing is read that the file's own size does not bear out. A bundle's identity is
the SHA-256 of its manifest.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from kaimen import __version__
from kaimen.bundle.signing import KEY, SIGNATURE, Trusted
from kaimen.errors import BundleError, ForgedBundle, TruncatedBundle, UnfitBundle
from kaimen.parsing import read_json
from kaimen.storage import write_whole
from kaimen.voice import LOUDSPEAKER, PHRASE, SHIPPED

MAGIC = b"KAIMEN BUNDLE 1\n"
LENGTH = struct.Struct("<I")
START = len(MAGIC) + KEY + LENGTH.size
LONGEST = 1 << 16  # bytes of a manifest
LARGEST = 1 << 28  # bytes of all parts
HEAD = "head"  # of an unpacked bundle: all before its parts
MODELS = tuple(
    path.with_suffix(suffix).name
    for path in (SHIPPED, PHRASE, LOUDSPEAKER)
    for suffix in (path.suffix, ".json")
)
NAME = re.compile(r"[a-z0-9][a-z0-9-]*\.[a-z0-9]+")  # of a part: no path leads out of its folder
TRIAL = 50  # decisions


@dataclass(frozen=True, slots=True)
class Part:
    """One of the files."""

    name: str
    size: int  # bytes
    sha256: str


@dataclass(frozen=True, slots=True)
class Policy:
    """How a school is to be calibrated for the encoder, and how long it listens along before."""

    fpir: float | None = None  # None: what the school has chosen
    trial: int = TRIAL  # decisions

    def __post_init__(self) -> None:
        if self.fpir is not None and not 0 < self.fpir < 1:
            raise ValueError("the FPIR must be between 0 and 1, for example 0.01")
        if not 0 <= self.trial <= 1_000_000:
            raise ValueError("a trial must be from 0 to 1,000,000 decisions")


@dataclass(frozen=True, slots=True)
class Manifest:
    """What is signed of a bundle."""

    name: str
    version: int  # only grows
    program: str  # the least version of Kaimen that it runs with
    made: str  # UTC, ISO 8601
    policy: Policy
    parts: tuple[Part, ...]

    def __post_init__(self) -> None:
        names = [part.name for part in self.parts]
        if not self.name.isprintable() or not 0 < len(self.name) <= 80:
            raise ValueError("a bundle's name must be up to 80 characters that can be shown")
        if not 0 < self.version < 1 << 53:
            raise ValueError("a bundle's version must be a whole number from 1 on")
        if not all(NAME.fullmatch(name) for name in names) or len(set(names)) < len(names):
            raise ValueError("its parts are not named as parts are")
        if any(part.size < 0 for part in self.parts) or self.size > LARGEST:
            raise ValueError("its parts are larger than parts may be")
        _version(self.program)

    @property
    def size(self) -> int:
        """Return bytes of all parts."""
        return sum(part.size for part in self.parts)

    @property
    def identity(self) -> str:
        """Return the SHA-256 of the manifest, and so of all that is in the bundle."""
        return hashlib.sha256(self.rendered()).hexdigest()

    def rendered(self) -> bytes:
        """Return it as it is signed: JSON in one form only."""
        return json.dumps(
            asdict(self), sort_keys=True, separators=(",", ":"), allow_nan=False
        ).encode()

    @classmethod
    def read(cls, content: bytes) -> Manifest:
        """Return what ``rendered`` wrote, byte for byte. Raises ValueError."""
        try:
            found: dict[str, Any] = read_json(content)
            parts = tuple(Part(**part) for part in found.pop("parts"))
            manifest = cls(parts=parts, policy=Policy(**found.pop("policy")), **found)
        except (TypeError, KeyError, AttributeError) as error:
            raise ValueError(str(error)) from None
        if manifest.rendered() != content:
            raise ValueError("not in the one form")
        return manifest

    def require_program(self, what: Path) -> None:
        """Require that this program can run it. Raises UnfitBundle."""
        if _version(self.program) > _version(__version__):
            raise UnfitBundle(
                f"{what}: made for Kaimen {self.program}, and this is {__version__}; "
                "update the program first"
            )
        missing = [name for name in MODELS if name not in [part.name for part in self.parts]]
        if missing:
            raise UnfitBundle(f"{what}: it lacks {', '.join(missing)}; ask its maker for them")


def make(
    path: Path,
    parts: Mapping[str, bytes],
    key: Ed25519PrivateKey,
    *,
    name: str,
    version: int,
    program: str = __version__,
    policy: Policy | None = None,
    made: datetime.datetime | None = None,
) -> Manifest:
    """Write a signed bundle in one step. Raises BundleError and StorageError."""
    at = made or datetime.datetime.now(datetime.UTC)
    try:
        manifest = Manifest(
            name,
            version,
            program,
            at.astimezone(datetime.UTC).isoformat(timespec="seconds"),
            policy or Policy(),
            tuple(
                Part(part, len(content), hashlib.sha256(content).hexdigest())
                for part, content in parts.items()
            ),
        )
    except ValueError as error:
        raise BundleError(f"{path}: not made: {error}") from None
    content = manifest.rendered()
    if len(content) > LONGEST:
        raise BundleError(f"{path}: not made: too many parts")
    signer = key.public_key().public_bytes_raw()
    signed = MAGIC + signer + LENGTH.pack(len(content)) + content

    def write(file: IO[bytes]) -> None:
        file.write(signed + key.sign(signed))
        for each in parts.values():
            file.write(each)

    write_whole(path, write)
    return manifest


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle whose manifest is what a trusted key signed."""

    path: Path  # of the file, or of the folder it was unpacked into
    manifest: Manifest
    signer: bytes  # the public key
    head: bytes  # everything before the parts

    @classmethod
    def open(cls, path: Path, trusted: Trusted) -> Bundle:
        """Read the head of a file and check it. Raises BundleError, of the kind that it is."""
        try:
            with path.open("rb") as file:
                bundle = cls._read(path, file, trusted)
                size = os.fstat(file.fileno()).st_size - len(bundle.head)
        except OSError as error:
            raise BundleError(f"{path}: cannot be read ({error.strerror}); check it") from None
        if size < bundle.manifest.size:
            raise _cut_short(path)
        if size > bundle.manifest.size:
            raise ForgedBundle(f"{path}: longer than what was signed; fetch it again")
        return bundle

    @classmethod
    def unpacked(cls, folder: Path, trusted: Trusted, *, whole: bool = True) -> Bundle:
        """Read what ``unpack`` wrote and check every part, or the manifest alone.

        Raises BundleError.
        """
        try:
            with (folder / HEAD).open("rb") as file:
                bundle = cls._read(folder, file, trusted)
            for part in bundle.manifest.parts if whole else ():
                with (folder / part.name).open("rb") as file:
                    _check(file.read(part.size + 1), part, folder)
        except OSError as error:
            raise ForgedBundle(
                f"{error.filename}: cannot be read ({error.strerror}); install the bundle again"
            ) from None
        return bundle

    @classmethod
    def _read(cls, path: Path, file: IO[bytes], trusted: Trusted) -> Bundle:
        start = file.read(START)
        if not start.startswith(MAGIC[: len(start)]) or not start:
            raise BundleError(f"{path}: not a bundle; give a file of 'kaimen bundle make'")
        if len(start) < START:
            raise _cut_short(path)
        signer = start[len(MAGIC) : len(MAGIC) + KEY]
        (length,) = LENGTH.unpack(start[-LENGTH.size :])
        rest = file.read(min(length, LONGEST) + SIGNATURE)
        if len(rest) < min(length, LONGEST) + SIGNATURE:
            raise _cut_short(path)
        content, signature = rest[:-SIGNATURE], rest[-SIGNATURE:]
        trusted.verify(signer, signature, start + content, path)
        try:
            manifest = Manifest.read(content)
        except ValueError as error:
            raise UnfitBundle(
                f"{path}: its manifest is none that this program reads ({error}); "
                "update the program"
            ) from None
        return cls(path, manifest, signer, start + rest)

    def parts(self) -> Iterator[tuple[Part, bytes]]:
        """Yield the parts of a file, each checked. Raises BundleError."""
        try:
            with self.path.open("rb") as file:
                file.seek(len(self.head))
                for part in self.manifest.parts:
                    content = file.read(part.size)
                    _check(content, part, self.path)
                    yield part, content
        except OSError as error:
            raise BundleError(f"{self.path}: cannot be read ({error.strerror}); check it") from None

    def unpack(self, folder: Path) -> None:
        """Write every part, and the head last. Raises BundleError and StorageError."""
        for part, content in self.parts():
            write_whole(folder / part.name, content)
        write_whole(folder / HEAD, self.head)


def _check(content: bytes, part: Part, where: Path) -> None:
    if len(content) != part.size or hashlib.sha256(content).hexdigest() != part.sha256:
        raise ForgedBundle(
            f"{where}: {part.name} is not what was signed, by chance or by somebody; "
            "fetch the bundle again from its maker"
        )


def _cut_short(path: Path) -> TruncatedBundle:
    return TruncatedBundle(f"{path}: ends before the bundle does; copy it again, whole")


def _version(text: str) -> tuple[int, ...]:
    """Return a version as numbers. Raises ValueError."""
    try:
        return tuple(int(number) for number in text.split("."))
    except (ValueError, AttributeError):
        raise ValueError(f"{text} is no version of a program") from None
