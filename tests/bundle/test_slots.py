"""Two slots: whenever the plug is pulled, the active one is the old one or the new one, whole."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaimen.bundle.bundle import Bundle, make
from kaimen.bundle.signing import Trusted, private_key
from kaimen.bundle.slots import STATE, Slots, SlotsState
from kaimen.bundle.trial import Trial
from kaimen.errors import BundleError, ForeignBundle, ForgedBundle, OlderBundle, StorageError
from kaimen.voice import SHIPPED
from tests.bundle.made import TINY, key_in
from tests.damage import flip


class Place:
    """Slots, and bundles for them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        key_in(folder)
        self.slots = Slots(folder / "bundles", Trusted(folder))

    def bundle(self, version: int) -> Bundle:
        path = self.folder / f"{version}.kaimen"
        if not path.exists():
            key = private_key(self.folder / "maker.pem")
            parts = TINY | {"encoder.tflite": b"%d" % version}
            make(path, parts, key, name="tiny", version=version)
        return Bundle.open(path, self.slots.trusted)

    def install(self, version: int) -> str:
        """A bundle of this version becomes active."""
        bundle = self.bundle(version)
        self.slots.refuse_older(bundle)
        with self.slots.incoming(bundle) as folder:
            slot = self.slots.take(folder, bundle.manifest.identity)
        self.slots.change(lambda state: state.switched(slot, version))
        return slot

    @property
    def active(self) -> bytes:
        return self.slots.encoder().read_bytes()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path / "place")


def on_trial(place: Place, version: int) -> Trial:
    bundle = place.bundle(version)
    with place.slots.incoming(bundle) as folder:
        slot = place.slots.take(folder, bundle.manifest.identity)
    trial = Trial(slot, 3, 3, "now")
    place.slots.change(lambda state: replace(state, trial=trial))
    return trial


def test_what_ships_is_active_where_nothing_was_installed(place: Place) -> None:
    assert place.slots.encoder() == SHIPPED
    assert place.slots.state() == SlotsState()
    assert not place.slots.folder.exists()  # looking changes nothing


def test_bundles_take_turns_and_the_way_back_ends_at_what_ships(place: Place) -> None:
    assert [place.install(version) for version in (1, 2, 3)] == ["a", "b", "a"]
    assert place.active == b"3"
    place.slots.change(lambda state: replace(state, said="the trial went well"))
    _, after = place.slots.roll_back()
    assert place.active == b"2" and after.said == ""
    place.slots.roll_back()
    assert place.slots.encoder() == SHIPPED
    with pytest.raises(BundleError, match="what ships with the program is active: there is no way"):
        place.slots.roll_back()


def test_what_is_older_than_anything_active_before_is_refused(place: Place) -> None:
    place.install(5)
    place.slots.roll_back()
    with pytest.raises(OlderBundle, match="version 4, and version 5 was active here"):
        place.install(4)
    assert place.slots.encoder() == SHIPPED
    place.install(5)
    assert place.active == b"5"


def test_a_trial_that_is_ended_changes_nothing_else(place: Place) -> None:
    place.install(1)
    on_trial(place, 2)
    assert place.active == b"1"
    before, after = place.slots.roll_back()
    assert before.trial is not None
    assert after == replace(before, trial=None, said="the trial was ended by 'rollback'")
    assert place.active == b"1"
    place.slots.refuse_older(place.bundle(1))  # a trial made nothing active


def test_the_next_bundle_ends_the_trial_of_the_one_before(place: Place) -> None:
    on_trial(place, 2)
    assert on_trial(place, 3).slot == "a"
    state = place.slots.state()
    assert state.trial is not None and len(state.held) == 1
    assert (place.slots.path("a") / "encoder.tflite").read_bytes() == b"3"


@pytest.mark.parametrize("name", [*TINY, "head"])
def test_a_slot_that_was_changed_is_refused_with_the_way_back(place: Place, name: str) -> None:
    place.install(1)
    file = place.slots.path("a") / name
    whole = file.read_bytes()
    for content in (whole[:-1] + bytes([whole[-1] ^ 1]), whole[:-1], whole + b"\0", None):
        file.unlink()
        if content is not None:
            file.write_bytes(content)
        if name == "head" and content == whole + b"\0":
            continue  # nothing of it is read
        with pytest.raises(
            BundleError, match=f"{place.slots.path('a')}.* 'kaimen bundle rollback'"
        ):
            place.slots.encoder()
        file.write_bytes(whole)
    assert place.active == b"1"


def test_of_a_slot_the_manifest_alone_may_be_asked_for(place: Place) -> None:
    place.install(1)
    (place.slots.path("a") / "encoder.tflite").unlink()
    found = place.slots.opened("a", place.slots.state(), whole=False)
    assert found.manifest == place.bundle(1).manifest
    with pytest.raises(ForgedBundle, match="install the bundle again"):
        place.slots.opened("a", place.slots.state())
    with pytest.raises(ForgedBundle, match="install the bundle again"):
        Bundle.unpacked(place.slots.path("a"), place.slots.trusted)


def test_a_key_that_is_trusted_no_longer_takes_its_bundles_along(place: Place) -> None:
    place.install(1)
    (place.folder / "maker.pub").unlink()
    with pytest.raises(ForeignBundle, match="no key is trusted"):
        place.slots.encoder()
    place.slots.roll_back()
    assert place.slots.encoder() == SHIPPED


def test_another_bundle_in_a_slot_is_not_what_was_installed(place: Place) -> None:
    place.install(2)
    shutil.rmtree(place.slots.path("a"))
    place.bundle(1).unpack(place.slots.path("a"))
    with pytest.raises(ForgedBundle, match="not the bundle that was installed"):
        place.slots.encoder()


def test_the_way_back_passes_over_a_slot_that_was_damaged(place: Place) -> None:
    place.install(1)
    place.install(2)
    (place.slots.path("a") / "encoder.tflite").write_bytes(b"x")
    place.slots.roll_back()
    assert place.slots.encoder() == SHIPPED


def test_two_installations_do_not_meet(place: Place) -> None:
    with (
        place.slots.incoming(place.bundle(1)),
        pytest.raises(BundleError, match="another bundle is being installed"),
        place.slots.incoming(place.bundle(2)),
    ):
        pass


def test_every_changed_byte_of_the_state_is_noticed(place: Place) -> None:
    place.install(1)
    path = place.slots.folder / STATE
    whole = path.read_bytes()
    for at in range(len(whole)):
        path.write_bytes(whole)
        flip(path, at)
        try:
            found = place.slots.state()
        except BundleError as error:
            assert "damaged; remove it" in str(error)
        else:  # a space or a letter of the wrapping may be another
            assert found.identity == place.bundle(1).manifest.identity
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BundleError, match="damaged; remove it"):
        place.slots.state()


@given(
    states=st.lists(
        st.builds(
            SlotsState,
            active=st.sampled_from(["a", "b", None]),
            back=st.sampled_from(["a", "b", None]),
            held=st.just({"a": "0" * 64, "b": "1" * 64}),
            highest=st.integers(0, 9),
            trial=st.none() | st.builds(Trial, st.sampled_from("ab"), st.just(5), st.just(2)),
            said=st.text(max_size=9),
        ),
        max_size=3,
    )
)
def test_what_was_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, states: list[SlotsState]
) -> None:
    slots = Slots(tmp_path_factory.mktemp("slots"), Trusted(Path("none")))
    for state in states:
        slots.change(lambda _, state=state: state)
        assert slots.state() == state
        assert slots.state().idle != state.active


# The plug


class Pulled(BaseException):
    """Nothing after this happens."""


def pulled_at(number: int, monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """Pull the plug at the so manieth thing that reaches the disk; returns how many there were."""
    count = 0

    def counted(real: Callable[..., Any]) -> Callable[..., Any]:
        def step(*arguments: Any, **options: Any) -> Any:
            nonlocal count
            count += 1
            if count >= number:
                raise Pulled
            return real(*arguments, **options)

        return step

    for name in ("fsync", "rename", "replace", "mkdir", "unlink", "rmdir"):
        monkeypatch.setattr(os, name, counted(getattr(os, name)))
    monkeypatch.setattr(shutil, "rmtree", counted(shutil.rmtree))
    return lambda: count


@pytest.mark.parametrize(
    "before",
    [
        pytest.param((), id="first"),
        pytest.param((1,), id="second", marks=pytest.mark.slow),
        pytest.param((1, 2), id="third", marks=pytest.mark.slow),
    ],
)
def test_wherever_the_plug_is_pulled_the_old_one_or_the_new_one_is_active(
    tmp_path: Path, before: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    number, done = 0, False
    while not done:
        number += 1
        place = Place(tmp_path / str(number))
        for version in before:
            place.install(version)
        place.bundle(9)
        old, ships = place.slots.encoder().read_bytes(), place.slots.encoder() == SHIPPED
        with monkeypatch.context() as patch:
            pulled_at(number, patch)
            try:
                place.install(9)
                done = True
            except Pulled:
                pass
        again = Slots(place.slots.folder, place.slots.trusted)
        assert again.encoder().read_bytes() in (old, b"9")
        assert ships or again.encoder() != SHIPPED
        assert not done or again.encoder().read_bytes() == b"9"
        # Given once more, it is completed.
        place.slots = again
        place.install(9)
        assert place.active == b"9"
    assert number > 20


def test_a_full_disk_leaves_what_is_active(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.install(1)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(StorageError, match="disk is full"):
            place.install(2)
    assert place.active == b"1"
    assert not (place.slots.folder / "incoming").exists()


def test_nothing_refers_to_a_slot_from_before_its_folder_is_replaced(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.install(1)
    slot = on_trial(place, 2).slot
    bundle = place.bundle(3)

    def interrupted(*_: object) -> None:
        raise StorageError("the plug was pulled")

    monkeypatch.setattr("kaimen.bundle.slots.move_whole", interrupted)
    with place.slots.incoming(bundle) as folder, pytest.raises(StorageError, match="the plug"):
        place.slots.take(folder, bundle.manifest.identity)
    state = place.slots.state()
    assert state.trial is None and slot not in state.held
    assert place.active == b"1"


def test_what_a_slot_was_switched_for_is_said_until_the_next_switch() -> None:
    held = {"a": "1", "b": "2"}
    state = SlotsState(held=held).switched("a", 4, said="the trial went well")
    assert state == SlotsState("a", None, held, 4, None, "the trial went well")
    after = replace(state, trial=Trial("b", 3, 3, "now")).switched("b", 3)
    assert after == SlotsState("b", "a", held, 4, None, "")


def test_a_slot_that_is_given_up_is_referred_to_by_nothing() -> None:
    held = {"a": "1", "b": "2"}
    state = SlotsState("a", "b", held, 4, Trial("b", 3, 3, "now"))
    assert state.without("b") == SlotsState("a", None, {"a": "1"}, 4)
    assert state.without("c") == state
