"""Whatever the order, duplication or loss of messages: in the end all ledgers are the same."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from kaimen.fleet.ledger import (
    BUCKET_NAMES,
    EMPTY,
    FleetEntry,
    Ledger,
    News,
    bucket_of,
    different,
    digest_of,
)

TOPICS = [f"{number:02x}{'0' * 30}" for number in (0, 1, 1, 7, 255)] + ["01" + "f" * 30]
DESKS = ("aa", "bb")


@dataclass
class Broker:
    """What is retained: the last message that came, which is not always the latest entry."""

    retained: dict[str, FleetEntry] = field(default_factory=dict)
    sent: list[tuple[str, FleetEntry]] = field(default_factory=list)

    def publish(self, topic: str, entry: FleetEntry) -> None:
        self.retained[topic] = entry
        self.sent.append((topic, entry))


def hear(ledger: Ledger, topic: str, entry: FleetEntry) -> None:
    if ledger.judge(topic, entry) is News.NEWER:
        ledger.put(topic, entry)


def catch_up(ledger: Ledger, broker: Broker, manifest: Ledger, version: int) -> None:
    """As a gate does: ask for each bucket that differs, and take over what a manifest attests."""
    for bucket in different(ledger, manifest.digests):
        offered = {t: e for t, e in broker.retained.items() if bucket_of(t) == bucket}
        for topic, entry in offered.items():
            hear(ledger, topic, entry)
        assert digest_of(offered) == manifest.digests[bucket]
        for topic in ledger.bucket(bucket).keys() - offered.keys():
            ledger.drop(topic)
        for topic, entry in offered.items():
            if topic not in ledger.entries:
                ledger.put(topic, entry)
    ledger.whole_at = version


changes = st.lists(
    st.tuples(st.sampled_from(DESKS), st.sampled_from(TOPICS), st.booleans(), st.booleans()),
    max_size=40,
)


@given(changes, st.randoms(use_true_random=False), st.integers(1, 4))
def test_gates_agree_in_whatever_order_messages_come_and_whatever_is_lost(
    written: list[tuple[str, str, bool, bool]], chance: random.Random, gates: int
) -> None:
    broker = Broker()
    desks = {name: Ledger() for name in DESKS}
    ledgers = [Ledger() for _ in range(gates)]
    for name, topic, removed, heard in written:
        desk = desks[name]
        entry = FleetEntry(desk.clock + 1, name, removed)
        desk.put(topic, entry)
        broker.publish(topic, entry)
        if heard:  # now and then the desks hear of each other
            for other in desks.values():
                hear(other, topic, entry)
    for ledger in ledgers:  # some of it, some of that twice, in any order
        told = [each for each in broker.sent for _ in range(chance.choice((0, 1, 2)))]
        chance.shuffle(told)
        for topic, entry in told:
            hear(ledger, topic, entry)
    # The desks hear of all, and tell again where the broker has an older entry.
    for topic, entry in broker.sent:
        for desk in desks.values():
            hear(desk, topic, entry)
    one, other = desks.values()
    assert one.entries == other.entries
    for topic, entry in one.entries.items():
        if broker.retained[topic] != entry:
            broker.publish(topic, entry)
    version = max(one.clock, other.clock) + 1
    for ledger in ledgers:
        catch_up(ledger, broker, one, version)
        assert ledger.entries == one.entries
        assert ledger.digests == one.digests
        # What is sent again now changes nothing: it is known, older, or not attested.
        for topic, entry in broker.sent:
            assert ledger.judge(topic, entry) is not News.NEWER


@given(changes, st.sets(st.sampled_from(TOPICS)))
def test_who_is_not_in_the_whole_set_goes_and_does_not_come_back(
    written: list[tuple[str, str, bool, bool]], expired: set[str]
) -> None:
    broker, desk, gate = Broker(), Ledger(), Ledger()
    for name, topic, removed, heard in written:
        entry = FleetEntry(desk.clock + 1, name, removed)
        desk.put(topic, entry)
        broker.publish(topic, entry)
        if heard:
            hear(gate, topic, entry)
    before = list(broker.sent)
    for topic in expired & desk.entries.keys():
        desk.drop(topic)
        del broker.retained[topic]
    catch_up(gate, broker, desk, desk.clock + 1)
    assert gate.entries == desk.entries
    for topic, entry in before:
        hear(gate, topic, entry)
    assert gate.entries == desk.entries


@given(
    st.dictionaries(
        st.sampled_from(TOPICS),
        st.builds(FleetEntry, st.integers(1, 9), st.sampled_from(DESKS), st.booleans()),
    )
)
def test_a_digest_is_of_the_set_and_not_of_the_way_to_it(entries: dict[str, FleetEntry]) -> None:
    one, other = Ledger(entries), Ledger()
    for topic, entry in reversed(entries.items()):
        other.put(topic, FleetEntry(entry.version, entry.desk, not entry.removed))
        assert one.digest(bucket_of(topic)) != other.digest(bucket_of(topic))
        other.put(topic, entry)
    assert one.digests == other.digests
    assert Ledger().digests == dict.fromkeys(BUCKET_NAMES, EMPTY)
