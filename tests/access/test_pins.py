"""A card and a PIN open where the operator allows it, and a PIN is not guessed."""

from __future__ import annotations

import datetime
import errno
import fcntl
import math
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaimen.access.pin_entry import BEHIND, PATIENCE, PinAnswer, PinEntry
from kaimen.access.pin_lockout import FIRST, FREE, LONGEST, MOST, PinLockout
from kaimen.errors import GalleryError, StorageError
from kaimen.registry import pins
from kaimen.registry.permissions import set_pin
from kaimen.registry.pins import UnfitPin, require_fit
from kaimen.registry.registry import Registry
from kaimen.registry.vault import Vault
from kaimen.settings.roster import Rule

PIN, OTHER = "520914", "911207"
VAULT = Vault(bytes(32))
KEPT = (
    '{"wrong": {"2b52f6cb4bfb11f3a8ba346448bec4a1": {"count": 5, "until": 1000000060.0}, '
    '"2a7cf7c24b44c05985056aca9014fa0a": {"count": 20, "until": 0.0}}, '
    '"mac": "d74c1eb7c2886fa6d62d79311bd03adbc9755182efc5bf02e7cfbd1031c2cef9"}'
)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pins, "LOG_N", 4)


def test_wrong_pins_are_counted_on_a_disk_without_locks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_lock(descriptor: int, how: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_lock)
    lockout = PinLockout(tmp_path / "pins", VAULT)
    for _ in range(FREE + 1):
        lockout.begin("anna")
    assert PinLockout(tmp_path / "pins", VAULT).wait("anna") > 0


@dataclass
class Keypad:
    """A door with a reader, and a clock that is turned by hand."""

    registry: Registry
    path: Path
    roster: tuple[Rule, ...] = ()
    now: datetime.datetime = field(default_factory=datetime.datetime.now)
    seconds: float = 1e9
    ill: str = ""
    claims: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        self.entry = PinEntry(
            self.registry,
            PinLockout(self.path, VAULT, lambda: self.seconds),
            self.claims.append,
            roster=self.roster,
            unwell=lambda: self.ill,
            now=lambda: self.now,
            clock=lambda: self.seconds,
        )

    def type(self, *lines: str) -> list[PinAnswer]:
        for line in lines:
            self.entry.read(line)
        return list(self.entry.answers())


@pytest.fixture
def keypad(tmp_path: Path) -> Keypad:
    registry = Registry(tmp_path / "gallery.sqlite", VAULT)
    set_pin(registry, "Li", PIN, group="7a", new=True)
    set_pin(registry, "20260017", OTHER, new=True)
    registry.enroll("Wang", [[1.0, 0.0]], "encoder")  # type: ignore[list-item]
    return Keypad(registry, tmp_path / "gallery.pins.json")


def test_a_card_and_its_pin_open(keypad: Keypad) -> None:
    assert keypad.type("Li") == []
    assert keypad.claims == ["Li"]
    assert keypad.type(PIN) == [PinAnswer(True, "Li", "")]
    assert keypad.type("20260017", OTHER + "#") == [PinAnswer(True, "20260017", "")]


@pytest.mark.parametrize(
    ("lines", "whose"),
    [
        (("Li", OTHER), "Li"),
        (("20260017", PIN), "20260017"),
        (("Wang", PIN), "Wang"),  # who has no PIN
        (("nobody", PIN), ""),
        (("Li", "nobody", PIN), ""),
        (("Li", ""), None),
        ((PIN,), None),
        ((PIN, "Li"), None),
    ],
)
def test_nothing_else_opens(keypad: Keypad, lines: tuple[str, ...], whose: str | None) -> None:
    found = keypad.type(*lines)
    assert not any(each.opens for each in found)
    assert [each.student for each in found] == ([] if whose is None else [whose])


def test_a_pin_is_never_a_claim(keypad: Keypad) -> None:
    keypad.type(PIN, "Li", OTHER, "1234", "Wang", PIN, "nobody", PIN)
    assert keypad.claims == ["Li", "Wang", "nobody"]


def test_a_pin_is_good_for_one_opening_and_for_a_while(keypad: Keypad) -> None:
    assert [each.opens for each in keypad.type("Li", PIN, PIN)] == [True]
    keypad.type("Li")
    keypad.seconds += PATIENCE + 1
    assert keypad.type(PIN) == []
    keypad.type("Li")
    keypad.seconds += PATIENCE
    assert [each.opens for each in keypad.type(OTHER, PIN)] == [False, True]


def test_a_pin_becomes_no_claim_while_nobody_can_tell_whether_it_is_one(
    keypad: Keypad, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreadable(_: str) -> bool:
        raise StorageError("the registry cannot be read")

    keypad.type("Li")
    with monkeypatch.context() as patched:
        patched.setattr(keypad.registry, "knows", unreadable)
        assert keypad.type(PIN) == [PinAnswer(False, "", "the registry cannot be read")]
    assert keypad.claims == ["Li"]


def test_wrong_pins_cost_longer_and_longer_waits_and_in_the_end_lock(keypad: Keypad) -> None:
    waits = []
    for _ in range(MOST):
        (answer,) = keypad.type("Li", OTHER)
        assert answer.why == "a wrong PIN"
        waits.append(answer.wait)
        if 0 < answer.wait < math.inf:
            refused = PinAnswer(False, "Li", "not compared, after wrong PINs", answer.wait)
            assert keypad.type("Li", PIN) == [refused]
        keypad.seconds += 0 if math.isinf(answer.wait) else answer.wait
        keypad.restart()  # a restart gains nothing
    assert waits[:FREE] == [0] * FREE
    assert waits[FREE : FREE + 3] == [FIRST, 2 * FIRST, 4 * FIRST]
    assert waits[-2] == LONGEST and math.isinf(waits[-1])
    keypad.seconds += 1e9
    (answer,) = keypad.type("Li", PIN)
    assert (answer.opens, answer.student, answer.wait) == (False, "Li", math.inf)
    assert "--pin" in answer.why
    assert [each.opens for each in keypad.type("20260017", OTHER)] == [True]
    # The operator sets another, in another process.
    set_pin(keypad.registry, "Li", OTHER)
    PinLockout(keypad.path, VAULT).forget("Li")
    assert [each.opens for each in keypad.type("Li", OTHER)] == [True]


@pytest.mark.parametrize("shared", [True, False])
def test_no_try_is_lost_where_several_count_at_once(tmp_path: Path, shared: bool) -> None:
    path, tries = tmp_path / "gallery.pins.json", 4
    counted = [PinLockout(path, VAULT) for _ in range(MOST // tries)]
    together = threading.Barrier(len(counted))

    def guess(lockout: PinLockout) -> None:
        together.wait()
        for number in range(tries):
            lockout.begin("Li")
            lockout.begin(f"{number}")
            lockout.forget(f"{number}")

    with ThreadPoolExecutor(len(counted)) as pool:
        list(pool.map(guess, counted[:1] * len(counted) if shared else counted))
    assert math.isinf(PinLockout(path, VAULT).wait("Li"))


def test_a_right_pin_forgives_the_wrong_ones_before(keypad: Keypad) -> None:
    for _ in range(4):
        answers = keypad.type("Li", OTHER, OTHER, OTHER)
        assert [each.wait for each in answers[:2]] == [0, 0]
        assert [each.opens for each in keypad.type("Li", PIN)] == [True]


def test_a_try_that_cannot_be_written_down_is_not_compared(
    keypad: Keypad, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise StorageError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr("kaimen.access.pin_lockout.write_whole", full)
        (answer,) = keypad.type("Li", PIN)
        assert not answer.opens and "full" in answer.why
    keypad.restart()
    assert [each.opens for each in keypad.type("Li", PIN)] == [True]


def test_what_an_earlier_program_kept_is_read_and_written_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "gallery.pins.json"
    path.write_text(KEPT)
    found = PinLockout(path, VAULT, lambda: 1e9)
    assert [found.wait(name) for name in ("Wang", "Li", "Anna")] == [60.0, math.inf, 0.0]
    found.forget("Anna")  # who has none
    for _ in range(FREE):  # as many are free: the file is whole
        found.begin("Anna")
        assert found.wait("Anna") == 0.0
    found.forget("Anna")
    assert path.read_text() == KEPT
    assert path.stat().st_mode & 0o777 == 0o600


def test_what_is_kept_nowhere_is_counted_all_the_same() -> None:
    lockout = PinLockout(None, VAULT, lambda: 1e9)
    waits = []
    for _ in range(FREE + 1):
        lockout.begin("Li")
        waits.append(lockout.wait("Li"))
    assert waits == [0] * FREE + [FIRST]
    lockout.forget("Li")
    assert lockout.wait("Li") == 0


def test_a_clock_that_was_set_back_makes_nobody_wait_longer_than_the_longest() -> None:
    now = [1e9]
    lockout = PinLockout(None, VAULT, lambda: now[0])
    for _ in range(FREE + 1):
        lockout.begin("Li")
    now[0] = 0.0
    assert lockout.wait("Li") == LONGEST


def test_a_count_that_cannot_be_read_opens_nothing(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=f"{tmp_path}: cannot be read"):
        PinLockout(tmp_path, VAULT)


@pytest.mark.parametrize("count", ['"x"', "null", "Infinity"])
def test_a_count_that_is_no_number_is_a_damaged_one(keypad: Keypad, count: str) -> None:
    keypad.path.write_text(KEPT.replace("20", count))
    keypad.restart()
    assert [each.wait for each in keypad.type("Li", OTHER, OTHER)] == [0.0, FIRST]


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"[" * 100_000, b'{"wrong": []}', b'{"wrong": {}}', b'{"wrong": {}, "mac": "00"}'],
)
def test_a_damaged_count_leaves_one_try(keypad: Keypad, content: bytes) -> None:
    keypad.path.write_bytes(content)
    keypad.restart()
    assert [each.wait for each in keypad.type("Li", OTHER, OTHER)] == [0.0, FIRST]


def test_hours_hold_for_pins_too(keypad: Keypad) -> None:
    rule = Rule(
        groups=("7a",), days=tuple(range(7)), opens=datetime.time(7), closes=datetime.time(9)
    )
    keypad.roster = (rule,)
    keypad.restart()
    keypad.now = datetime.datetime.combine(
        datetime.date.today() + datetime.timedelta(days=1), datetime.time(8)
    )
    assert [each.opens for each in keypad.type("Li", PIN)] == [True]
    (late,) = keypad.type("20260017", OTHER)
    assert (late.student, late.why) == ("20260017", "may not enter at that time")
    keypad.now = keypad.now.replace(hour=10)
    assert [each.opens for each in keypad.type("Li", PIN)] == [False]
    keypad.now = datetime.datetime(1970, 1, 1, 8)
    assert [each.opens for each in keypad.type("Li", PIN)] == [False]


def test_a_clock_may_be_a_day_behind_an_enrollment(keypad: Keypad) -> None:
    keypad.roster = (Rule(groups=("7a",)),)
    keypad.restart()
    student = keypad.registry.student("Li")
    assert student is not None
    enrolled = datetime.datetime.fromisoformat(student.enrolled)
    opens = []
    for behind in (BEHIND, BEHIND + datetime.timedelta(microseconds=1)):
        keypad.now = enrolled - behind
        opens += [each.opens for each in keypad.type("Li", PIN)]
    assert opens == [True, False]


def test_while_the_gate_is_not_well_no_pin_opens(keypad: Keypad) -> None:
    keypad.ill = "the watcher died"
    (answer,) = keypad.type("Li", PIN)
    assert answer == PinAnswer(False, "Li", "the door stays shut: the watcher died")


def test_a_student_whose_row_was_changed_by_hand_stays_outside(keypad: Keypad) -> None:
    with keypad.registry.database._transaction() as database:
        database.execute("UPDATE students SET class = '9' WHERE name = 'Li'")
    (answer,) = keypad.type("Li", PIN)
    assert (answer.opens, answer.student) == (False, "Li")
    assert "changed" in answer.why


def test_a_pin_of_one_is_of_no_use_in_anothers_row(keypad: Keypad) -> None:
    with keypad.registry.database._transaction() as database:
        database.execute("UPDATE pins SET sealed = (SELECT sealed FROM pins WHERE student = 1)")
    assert [each.opens for each in keypad.type("20260017", PIN)] == [False]


@pytest.mark.parametrize("pin", ["", "12345", "1" * 13, "111111", "345678", "876543", "890123",
                                 "12a456", "１２３４５７", " 520914"])  # fmt: skip
def test_a_pin_that_is_guessed_first_is_refused(keypad: Keypad, pin: str) -> None:
    with pytest.raises(UnfitPin):
        set_pin(keypad.registry, "Li", pin)
    assert [each.opens for each in keypad.type("Li", PIN)] == [True]


@given(st.from_regex(r"[0-9]{6,12}", fullmatch=True))
def test_a_pin_is_fit_unless_all_its_steps_are_the_same(pin: str) -> None:
    ladders = ("01234567890123456789012", "98765432109876543210987")
    poor = len(set(pin)) == 1 or any(pin in ladder for ladder in ladders)
    if poor:
        with pytest.raises(UnfitPin):
            require_fit(pin)
    else:
        require_fit(pin)


def test_nobody_is_new_by_mistake(keypad: Keypad) -> None:
    with pytest.raises(GalleryError, match="--new"):
        set_pin(keypad.registry, "Lee", PIN)
    assert "Lee" not in keypad.registry.names()


def test_no_pin_is_in_any_file(keypad: Keypad, tmp_path: Path) -> None:
    keypad.type("Li", OTHER, PIN)
    files = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert PIN.encode() not in files and OTHER.encode() not in files


TYPED = ["Li", "20260017", "Wang", "x", PIN, OTHER, "0", "#"]
LINES = st.lists(st.sampled_from(TYPED), max_size=12)


@given(LINES)
def test_whatever_is_typed_opens_only_for_a_card_with_its_pin_after_it(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("pins")
    registry = Registry(folder / "gallery.sqlite", VAULT)
    set_pin(registry, "Li", PIN, new=True)
    set_pin(registry, "20260017", OTHER, new=True)
    keypad = Keypad(registry, folder / "gallery.pins.json")
    card = ""
    for line in lines:
        for answer in keypad.type(line):
            if answer.opens:
                assert (card, line) in {("Li", PIN), ("20260017", OTHER)}
        if line in ("Li", "20260017", "Wang", "x"):
            card = line
    registry.close()
