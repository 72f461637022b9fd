"""What is no true word of a desk is refused, and changes nothing."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kaimen.errors import (
    ForeignMessage,
    ForgedMessage,
    MessageError,
    OlderMessage,
    TruncatedMessage,
)
from kaimen.fleet.ledger import FleetEntry, Ledger, News
from kaimen.fleet.manifest import manifest_of
from kaimen.fleet.membership import Broker, Membership
from kaimen.fleet.message import MessageKind, open_message, open_report, seal, seal_report
from kaimen.fleet.packing import packed, unpacked
from kaimen.fleet.replica import Replica
from kaimen.fleet.store import Store
from kaimen.gallery.latent_map import LatentMap, map_path
from kaimen.registry.consents import Consent
from kaimen.registry.copying import PointCopy, RecordingCopy, StudentCopy
from kaimen.registry.database import MEMORY
from kaimen.registry.registry import Registry
from kaimen.registry.vault import Vault
from tests.fleet.machines import points_of

DESK = Membership.create("office", Broker("broker.example"))
GATE = DESK.invited("gate-1", "gate", DESK.broker, ())
OTHER = Membership.create("office", Broker("broker.example"))


def student(name: str = "anna", seed: int = 1) -> StudentCopy:
    point = points_of(seed, 1)[0].tobytes()
    more = (PointCopy("encoder-2", False, point), PointCopy("phrases-2", True, b"words"))
    recordings = (
        RecordingCopy("", "ab" * 32, "phrases", 7000.0, point, b"said", b"print", more),
        RecordingCopy("北京", "", "", None, point, None, None, ()),
    )
    return StudentCopy(name, "7a", "2027-07-31", "2026-11-28T08:00:00+00:00", "e", recordings)


def told(version: int, name: str = "anna", desk: Membership = DESK) -> tuple[str, bytes]:
    topic = DESK.topics.student(DESK.pseudonym(name))
    content = packed(student(name, version))
    key = desk.message_key
    return topic, seal(topic, MessageKind.STUDENT, version, content, key, desk.signing_key)


def removed(version: int, name: str = "anna") -> tuple[str, bytes]:
    topic = DESK.topics.student(DESK.pseudonym(name))
    key = DESK.message_key
    return topic, seal(topic, MessageKind.REMOVED, version, b"", key, DESK.signing_key)


def manifest(version: int, ledger: Ledger) -> tuple[str, bytes]:
    topic = DESK.topics.manifest(DESK.desk)
    content = manifest_of(ledger, DESK.desks)
    key = DESK.message_key
    return topic, seal(topic, MessageKind.MANIFEST, version, content, key, DESK.signing_key)


@pytest.fixture
def replica(tmp_path: Path) -> Iterator[Replica]:
    registry = Registry(tmp_path / "gallery.sqlite", Vault())
    store = Store(tmp_path / "fleet.sqlite")
    yield Replica(GATE, registry, store)
    store.close()
    registry.close()


def here(replica: Replica) -> list[str]:
    replica.flush()
    return [each.name for each in replica.registry.students()]


def test_a_student_is_written_whole(replica: Replica) -> None:
    replica.hear(*told(1))
    assert here(replica) == ["anna"]
    assert replica.registry.copies.of("anna") == student("anna", 1)


CONSENT = Consent("guardian", "李妈妈", ("opening",), "2026-09-01", "2027-07-31")
STATES = (  # of one student, as a desk says them one after the other
    student(),
    replace(student(), consents=(CONSENT,), pin=bytes(range(48))),
    replace(student(), consents=(CONSENT,), pin=bytes(48)),
    replace(
        student(),
        consent="2026-11-27",
        consents=(replace(CONSENT, withdrawn="2026-11-27"),),
        pin=bytes(48),
    ),
    replace(
        student(),
        encoder="",
        recordings=(),
        consents=(replace(CONSENT, withdrawn="2026-11-27"),),
        pin=bytes(48),
    ),
)


def said(version: int, state: StudentCopy) -> tuple[str, bytes]:
    topic = DESK.topics.student(DESK.pseudonym(state.name))
    content = packed(state)
    return topic, seal(
        topic, MessageKind.STUDENT, version, content, DESK.message_key, DESK.signing_key
    )


@settings(max_examples=25, deadline=None)
@given(
    latest=st.integers(0, len(STATES) - 1),
    order=st.lists(st.tuples(st.integers(0, len(STATES) - 1), st.booleans()), max_size=8),
)
def test_consents_and_pins_end_as_the_latest_word_has_them_whatever_came_before(
    latest: int, order: list[tuple[int, bool]]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "fleet.sqlite")
        registry = Registry(MEMORY, Vault())
        replica = Replica(GATE, registry, store)
        for version, flushed in [*order, (latest, True), *order]:  # others are lost
            if version <= latest:
                replica.hear(*said(version + 1, STATES[version]))
                if flushed:
                    replica.flush()
        replica.flush()
        assert registry.copies.of("anna") == STATES[latest]
        assert not replica.local_changes()
        store.close()
        registry.close()


def test_a_voice_that_is_erased_at_the_desk_is_erased_beside_the_registry_too(
    replica: Replica,
) -> None:
    replica.hear(*said(1, STATES[0]))
    replica.flush()
    assert isinstance(replica.registry.path, Path)
    index = replica.registry.path.with_suffix(".index")
    index.write_bytes(b"of anna's points")
    replica.hear(*said(2, STATES[-1]))
    replica.flush()
    assert replica.registry.recordings.listed("anna") == [] and not index.exists()


def test_who_is_removed_at_the_desk_is_on_no_map_of_the_gate(replica: Replica) -> None:
    for name in ("anna", "björn"):
        replica.hear(*told(1, name))
    replica.flush()
    registry = replica.registry
    assert isinstance(registry.path, Path)
    number, path = registry.student("anna").number, map_path(registry.path)
    places = np.zeros((2, 2), np.float32)
    LatentMap("e", "pca", np.array([1, 2]), places, 1.0).save(path, registry.vault)
    replica.hear(*removed(2))
    replica.flush()
    left = LatentMap.load(path, registry.vault, "e")
    assert sorted([*left.numbers.tolist(), number]) == [1, 2]


def test_a_pin_that_was_set_at_a_desk_fits_at_a_gate(replica: Replica) -> None:
    with closing(Registry(MEMORY, Vault())) as desk:
        desk.enroll("anna", points_of(1), "e")
        desk.pins.set(desk.student("anna").number, "482915")
        replica.hear(*said(1, desk.copies.of("anna")))
    replica.flush()
    pins, number = replica.registry.pins, replica.registry.student("anna").number
    assert pins.fits(number, "482915") and not pins.fits(number, "482916")


def test_a_consent_or_a_pin_alone_is_a_change_that_is_told(replica: Replica) -> None:
    replica.hear(*said(1, STATES[0]))
    replica.flush()
    registry, number = replica.registry, replica.registry.student("anna").number
    assert not replica.local_changes()
    registry.pins.set(number, "482915")
    assert replica.local_changes()
    registry.pins.remove(number)
    assert not replica.local_changes()
    registry.consents.add(number, CONSENT)
    assert replica.local_changes()


def test_a_message_signed_by_a_desk_of_another_fleet_is_refused(replica: Replica) -> None:
    with pytest.raises(ForeignMessage):
        replica.hear(*told(1, desk=OTHER))
    assert here(replica) == []


def test_a_message_signed_by_a_gate_is_refused(replica: Replica) -> None:
    stolen = replace(OTHER, key=GATE.key)  # a gate has the fleet's key, and none that signs
    with pytest.raises(ForeignMessage):
        replica.hear(*told(1, desk=stolen))
    assert here(replica) == []


def test_a_message_sealed_under_another_key_is_refused(replica: Replica) -> None:
    mixed = replace(DESK, key=OTHER.key)
    with pytest.raises(ForgedMessage, match="another fleet"):
        replica.hear(*told(1, desk=mixed))
    assert here(replica) == []


@given(at=st.integers(0), bit=st.integers(0, 7))
def test_a_message_with_one_bit_changed_is_refused(at: int, bit: int) -> None:
    topic, payload = told(1)
    changed = bytearray(payload)
    changed[at % len(payload)] ^= 1 << bit
    with pytest.raises(MessageError):
        open_message(topic, bytes(changed), GATE.message_key, GATE.desk_keys)


@given(length=st.integers(0))
def test_a_message_that_is_cut_off_is_refused(length: int) -> None:
    topic, payload = told(1)
    with pytest.raises((TruncatedMessage, ForgedMessage)):
        cut = payload[: length % len(payload)]
        open_message(topic, cut, GATE.message_key, GATE.desk_keys)


def test_a_message_on_another_students_topic_is_refused(replica: Replica) -> None:
    _, payload = told(1, "anna")
    topic = DESK.topics.student(DESK.pseudonym("björn"))
    with pytest.raises(ForgedMessage):
        replica.hear(topic, payload)
    content = packed(student("anna"))
    signed = seal(topic, MessageKind.STUDENT, 1, content, DESK.message_key, DESK.signing_key)
    with pytest.raises(ForgedMessage, match="topic of another"):
        replica.hear(topic, signed)
    assert here(replica) == []


def test_a_message_that_is_sent_again_brings_nobody_back(replica: Replica) -> None:
    replica.hear(*told(1))
    replica.hear(*removed(2))
    assert here(replica) == []
    heard = replica.hear(*told(1))
    assert heard is not None
    assert heard.news is News.OLDER
    assert here(replica) == []


def test_a_message_that_is_sent_again_brings_nobody_back_when_the_removal_is_forgotten(
    replica: Replica,
) -> None:
    replica.hear(*told(1))
    replica.hear(*removed(2))
    here(replica)
    replica.drop([DESK.pseudonym("anna")])  # as a manifest without the removal has it
    replica.hear_manifest(*manifest(3, Ledger()))
    assert replica.different() == []
    heard = replica.hear(*told(1))
    assert heard is not None
    assert heard.news is News.UNATTESTED
    assert here(replica) == []


def test_an_older_version_of_a_student_is_refused(replica: Replica) -> None:
    replica.hear(*told(5))
    heard = replica.hear(*told(4))
    assert heard is not None
    assert heard.news is News.OLDER
    assert here(replica) == ["anna"]
    assert replica.registry.copies.of("anna") == student("anna", 5)


def test_an_older_manifest_is_refused_and_an_older_set_is_noticed(replica: Replica) -> None:
    replica.hear_manifest(*manifest(7, Ledger()))
    with pytest.raises(OlderMessage):
        replica.hear_manifest(*manifest(6, Ledger()))
    replica.manifests.clear()  # the link is made again, and the broker was put back
    replica.hear_manifest(*manifest(6, Ledger({"00" * 16: FleetEntry(1, DESK.desk, False)})))
    assert replica.went_back
    assert replica.different() == []  # nothing is taken from it, and nobody removed by it


def test_a_new_gate_does_not_take_a_set_older_than_its_invitation(tmp_path: Path) -> None:
    registry, store = Registry(tmp_path / "g.sqlite", Vault()), Store(tmp_path / "f.sqlite")
    late = Replica(replace(GATE, since=9), registry, store)
    late.hear_manifest(*manifest(8, Ledger()))
    assert late.went_back
    store.close()
    registry.close()


def test_a_report_opens_under_the_key_of_its_own_gate_alone() -> None:
    topic = DESK.topics.of_gate("gate-1", "events")
    report = seal_report(topic, b"{}", GATE.gate_key("gate-1"))
    assert open_report(topic, report, DESK.gate_key("gate-1")) == b"{}"
    other = DESK.invited("gate-2", "gate", DESK.broker, ())
    for key, place in (
        (other.gate_key("gate-1"), topic),
        (GATE.message_key, topic),
        (DESK.gate_key("gate-2"), topic),
        (DESK.gate_key("gate-1"), DESK.topics.of_gate("gate-2", "events")),
    ):
        with pytest.raises(ForgedMessage):
            open_report(place, report, key)
    with pytest.raises(TruncatedMessage):
        open_report(topic, report[:20], DESK.gate_key("gate-1"))


def test_a_gate_has_neither_a_signing_key_nor_the_desks_secret() -> None:
    assert GATE.signing == ""
    assert DESK.secret not in json.dumps(GATE.rendered().decode())
    assert DESK.signing not in GATE.rendered().decode()


@given(content=st.binary(max_size=200))
def test_a_content_that_no_desk_packs_is_refused(content: bytes) -> None:
    with pytest.raises(ForgedMessage):
        unpacked(content)


def test_a_voiceprint_that_is_no_point_is_refused() -> None:
    for bad in (b"\0" * 32, b"\xff" * 32, b"abc"):
        wrong = replace(student(), recordings=(replace(student().recordings[0], voiceprint=bad),))
        with pytest.raises(ForgedMessage):
            unpacked(packed(wrong))


def test_a_packed_student_is_the_same_again() -> None:
    assert unpacked(packed(student())) == student()
