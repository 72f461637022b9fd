"""Two slots for bundles, and one small file that says which of them is active.

A bundle is unpacked and tried in a folder of its own, ``incoming``; it becomes a slot by one
rename, and active by replacing the state, which is one file, in one step. Whenever the plug is
pulled, the state names a slot that is complete, or none: then what ships with the program is
active. What was left lying about is cleared away by the next installation.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from kaimen.bundle.bundle import Bundle
from kaimen.bundle.signing import Trusted
from kaimen.bundle.trial import Trial
from kaimen.errors import BundleError, ForgedBundle, OlderBundle, StorageError
from kaimen.parsing import read_json
from kaimen.storage import make_folder, move_whole, write_whole
from kaimen.voice import SHIPPED

SLOTS = ("a", "b")
STATE = "slots.json"
INCOMING = "incoming"


@dataclass(frozen=True, slots=True)
class SlotsState:
    """Which bundle is active, which one listens along, and where the way back leads."""

    active: str | None = None  # a slot; None: what ships with the program
    back: str | None = None  # the slot that was active before; None: what ships
    held: dict[str, str] = field(default_factory=dict)  # by slot, the identity of what is in it
    highest: int = 0  # version that ever was active
    trial: Trial | None = None
    said: str = ""  # how the last trial ended

    @property
    def identity(self) -> str:
        """Return that of the active bundle; empty for what ships."""
        return self.held[self.active] if self.active else ""

    @property
    def idle(self) -> str:
        """Return the slot that the next bundle goes into."""
        return SLOTS[1] if self.active == SLOTS[0] else SLOTS[0]

    def without(self, slot: str) -> SlotsState:
        """Return the state with nothing in a slot that is not active."""
        return replace(
            self,
            back=None if self.back == slot else self.back,
            trial=None if self.trial and self.trial.slot == slot else self.trial,
            held={name: identity for name, identity in self.held.items() if name != slot},
        )

    def switched(self, slot: str, version: int, said: str = "") -> SlotsState:
        """Return the state with a slot active; what was before is the way back."""
        return replace(
            self,
            active=slot,
            back=self.active,
            highest=max(self.highest, version),
            trial=None,
            said=said,
        )

    def rendered(self) -> str:
        """Return it as it is written."""
        return json.dumps(asdict(self))

    @classmethod
    def read(cls, content: str) -> SlotsState:
        """Return what was written. Raises ValueError, TypeError and KeyError."""
        found: dict[str, Any] = read_json(content)
        trial = found.pop("trial")
        state = cls(trial=None if trial is None else Trial(**trial), **found)
        for slot in (state.active, state.back, state.trial and state.trial.slot):
            if slot is not None and slot not in state.held:
                raise ValueError(slot)
        return state


class Slots:
    """The slots of a folder; any process may look, and change them one after the other."""

    def __init__(self, folder: Path, trusted: Trusted, shipped: Path = SHIPPED) -> None:
        """``shipped``: the encoder that is active where no bundle is."""
        self.folder = folder
        self.trusted = trusted
        self.shipped = shipped

    def state(self) -> SlotsState:
        """What is active; what ships, where nothing was ever installed. Raises BundleError."""
        path = self.folder / STATE
        try:
            whole = read_json(path.read_bytes())
            if whole["checksum"] != _checksum(whole["state"]):
                raise ValueError
            return SlotsState.read(whole["state"])
        except FileNotFoundError:
            return SlotsState()
        except OSError as error:
            raise BundleError(f"{path}: cannot be read ({error.strerror}); check it") from None
        except (ValueError, TypeError, KeyError):
            raise BundleError(
                f"{path}: damaged; remove it, and what ships is active until a bundle is installed"
            ) from None

    def change(self, how: Callable[[SlotsState], SlotsState]) -> SlotsState:
        """Replace the state by what ``how`` makes of it, in one step.

        Raises BundleError and StorageError; the state is then as it was.
        """
        with self._locked("lock"):
            before = self.state()
            after = how(before)
            if after != before:
                content = after.rendered()
                whole = {"checksum": _checksum(content), "state": content}
                write_whole(self.folder / STATE, json.dumps(whole).encode())
            return after

    @contextmanager
    def _locked(self, name: str, *, wait: bool = True) -> Iterator[None]:
        try:
            make_folder(self.folder)
            lock = (self.folder / name).open("wb")
        except OSError as error:
            raise StorageError(
                f"{self.folder}: cannot be written ({error.strerror}); nothing was changed"
            ) from None
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError:
                raise BundleError(
                    "another bundle is being installed; wait until that is done"
                ) from None
            yield

    def path(self, slot: str) -> Path:
        """Return the folder of a slot."""
        return self.folder / slot

    def opened(self, slot: str, state: SlotsState, *, whole: bool = True) -> Bundle:
        """The bundle of a slot, every part of it checked unless only its manifest is asked for.

        Raises BundleError.
        """
        bundle = Bundle.unpacked(self.path(slot), self.trusted, whole=whole)
        if bundle.manifest.identity != state.held[slot]:
            raise ForgedBundle(
                f"{bundle.path}: not the bundle that was installed; install it again"
            )
        return bundle

    def encoder(self) -> Path:
        """Return the encoder of the active bundle, with its other models beside it; or what ships.

        Raises BundleError for a bundle that was changed, or whose key is trusted no longer.
        """
        state = self.state()
        if state.active is None:
            return self.shipped
        try:
            return self.opened(state.active, state).path / SHIPPED.name
        except BundleError as error:
            raise type(error)(f"{error}, or go back with 'kaimen bundle rollback'") from None

    @contextmanager
    def incoming(self, bundle: Bundle) -> Iterator[Path]:
        """Unpack a bundle into a folder that nothing refers to, and that is gone afterwards.

        Raises BundleError and StorageError.
        """
        folder = self.folder / INCOMING
        with self._locked("installing", wait=False):
            shutil.rmtree(folder, ignore_errors=True)
            try:
                bundle.unpack(folder)
                yield folder
            finally:
                shutil.rmtree(folder, ignore_errors=True)

    def take(self, incoming: Path, identity: str) -> str:
        """Make a slot of the folder of ``incoming``, and return which; nothing is active yet."""
        slot = self.change(lambda state: state.without(state.idle)).idle
        shutil.rmtree(self.path(slot), ignore_errors=True)
        move_whole(incoming, self.path(slot))
        self.change(lambda state: replace(state, held=state.held | {slot: identity}))
        return slot

    def refuse_older(self, bundle: Bundle) -> None:
        """Refuse a downgrade. Raises OlderBundle."""
        version, highest = bundle.manifest.version, self.state().highest
        if version < highest:
            raise OlderBundle(
                f"{bundle.path}: version {version}, and version {highest} was active here; "
                "ask for a newer one, or go back with 'kaimen bundle rollback'"
            )

    def roll_back(self) -> tuple[SlotsState, SlotsState]:
        """End the trial, or go back to what was active before; the states before and after.

        A slot that was damaged meanwhile is passed over, for what ships. Raises BundleError where
        there is nothing to go back to.
        """
        before = self.state()
        if before.trial is None and before.active is None:
            raise BundleError("what ships with the program is active: there is no way back from it")
        back = before.back
        if back is not None:
            try:
                self.opened(back, before)
            except BundleError:
                back = None

        def how(state: SlotsState) -> SlotsState:
            if state.trial is not None:
                return replace(state, trial=None, said="the trial was ended by 'rollback'")
            return replace(state, active=back, back=None, said="")

        return before, self.change(how)


def _checksum(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()
