"""`kaimen setup` through a terminal: every question, a wrong answer to each, Ctrl-C at each."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import soundfile

from kaimen.settings import Settings
from kaimen.sound import SAMPLE_RATE
from tests.setup.terminal import PATIENCE, SESSION, Services, Step, Terminal
from tests.sounds import in_a_room, noise, silence, spoken

pytestmark = pytest.mark.slow

OLD = """# The north gate.
[door]
pin = 17  # behind the cupboard
active_high = true
buzzer = 12

[[roster]]  # staff
groups = ["staff"]

[checks]
loudspeaker = false
"""
LEASED = 5  # the number of the question after the lease


@pytest.fixture(scope="module")
def voice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Somebody speaks in a quiet room."""
    path = tmp_path_factory.mktemp("sounds") / "voice.wav"
    pause = silence(0.3)
    soundfile.write(path, in_a_room(pause, spoken(0.4), pause, spoken(0.4), pause), SAMPLE_RATE)
    return path


@pytest.fixture
def setup(tmp_path: Path, voice: Path) -> Iterator[Callable[..., Terminal]]:
    """Starts setups, and ends them if need be."""
    begun: list[Terminal] = []

    def start(
        *options: str, old: str = "", sound: Path = voice, services: Services | None = None
    ) -> Terminal:
        if old:
            (tmp_path / "etc").mkdir()
            (tmp_path / "etc" / "kaimen.toml").write_text(old, encoding="utf-8")
        begun.append(Terminal(tmp_path, sound, *options, services=services))
        return begun[-1]

    yield start
    for each in begun:
        each.process.close(force=True)


def files(terminal: Terminal) -> dict[str, str]:
    return {each.name: each.read_text() for each in terminal.folder.iterdir()}


def test_the_file_says_what_was_answered(setup: Callable[..., Terminal]) -> None:
    terminal = setup()
    terminal.session(*SESSION)
    assert terminal.ended() == 0
    assert list(files(terminal)) == ["kaimen.toml"]
    found = Settings.read(terminal.file)
    door = found.door
    assert found.sound.microphone == ""
    assert (door.pin, door.active_high, door.lease) == (4, False, 2.5)
    assert (door.contact, door.contact_closed, door.button) == (22, "high", 23)
    assert "# seconds one decision may hold the relay" in terminal.file.read_text()
    # Low is on: the pin was on for one lease, and is at rest.
    assert terminal.levels == [(4, 1), (4, 0), (4, 1)]


def test_enter_takes_what_was_there(setup: Callable[..., Terminal]) -> None:
    terminal = setup(old=OLD)
    enter = [Step(each.asks, "") for each in SESSION]
    terminal.session(*enter[:8], enter[11], *enter[14:])
    assert terminal.ended() == 0
    assert Settings.read(terminal.file) == Settings.parse(OLD, "before")
    assert files(terminal)["kaimen.toml.before"] == OLD


def test_all_else_in_the_file_stays(setup: Callable[..., Terminal]) -> None:
    terminal = setup(old=OLD)
    terminal.session(*SESSION)
    assert terminal.ended() == 0
    text = terminal.file.read_text()
    for line in ("# The north gate.", "# behind the cupboard", "[[roster]]  # staff"):
        assert line in text
    found = Settings.read(terminal.file)
    assert (found.door.pin, found.door.buzzer, found.checks.loudspeaker) == (4, 12, False)
    assert found.roster[0].groups == ("staff",)
    assert files(terminal)["kaimen.toml.before"] == OLD


def test_a_wrong_answer_is_told_why_and_asked_again(setup: Callable[..., Terminal]) -> None:
    terminal = setup()
    for step in SESSION:
        terminal.asked(step)
        if step.wrong:
            terminal.answer(step.wrong)
            terminal.said(step.says)
            terminal.asked(step)
        terminal.answer(step.answer)
    assert terminal.ended() == 0
    assert Settings.read(terminal.file).door.lease == 2.5


def test_a_question_mark_explains(setup: Callable[..., Terminal]) -> None:
    terminal = setup()
    for step in SESSION:
        terminal.asked(step)
        if step.wrong:
            terminal.answer("?")
            terminal.process.expect(r"  \w.*?[.:]")  # over several lines, where it is long
            terminal.asked(step)
        terminal.answer(step.answer)
    assert terminal.ended() == 0


@pytest.mark.parametrize("number", range(len(SESSION)))
def test_interrupted_at_any_question_nothing_is_written(
    number: int, setup: Callable[..., Terminal]
) -> None:
    terminal = setup(old=OLD)
    terminal.session(*SESSION[:number])
    terminal.asked(SESSION[number])
    terminal.interrupt()
    terminal.said("nothing was written")
    assert terminal.ended() == 130
    assert files(terminal) == {"kaimen.toml": OLD}
    assert terminal.levels == ([(4, 1), (4, 0), (4, 1)] if number >= LEASED else [])


def test_interrupted_while_somebody_speaks_nothing_is_written(
    setup: Callable[..., Terminal], tmp_path: Path
) -> None:
    path = tmp_path / "sound.wav"
    soundfile.write(path, noise(60.0, -40.0), SAMPLE_RATE)
    terminal = setup("--microphone", "default", sound=path)
    terminal.said("Say the passphrase")
    terminal.interrupt()
    terminal.said("nothing was written")
    assert terminal.ended() == 130
    assert files(terminal) == {}


STOP = Step("Stop them while you set up.*: $", "yes", "maybe", "is none of yes, no")


def stopped(setup: Callable[..., Terminal], folder: Path) -> tuple[Services, Terminal]:
    """Begin a setup that has stopped the services, and asks its first question."""
    services = Services(folder)
    terminal = setup(services=services)
    terminal.session(STOP)
    terminal.asked(SESSION[0])
    return services, terminal


def test_services_that_hold_the_pins_are_stopped_and_started_with_what_was_written(
    setup: Callable[..., Terminal], tmp_path: Path
) -> None:
    services, terminal = stopped(setup, tmp_path)
    assert services.calls == ["stop kaimen-gate kaimen-door "]
    terminal.answer(SESSION[0].answer)
    terminal.session(*SESSION[1:])
    terminal.said("kaimen-door kaimen-gate are started again")
    assert terminal.ended() == 0
    assert services.calls[1:] == ["start kaimen-door kaimen-gate kaimen.toml"]


def test_services_that_were_stopped_are_started_whatever_happens(
    setup: Callable[..., Terminal], tmp_path: Path
) -> None:
    services, terminal = stopped(setup, tmp_path)
    terminal.kill(signal.SIGTERM)
    assert terminal.ended() == 130
    assert services.calls == ["stop kaimen-gate kaimen-door ", "start kaimen-door kaimen-gate "]


@pytest.mark.parametrize(
    ("answer", "failing", "said", "calls"),
    [
        ("no", "", "Microphone", []),
        ("yes", "stop", "they cannot be stopped: stop: not you", []),
        ("yes", "start", "sudo systemctl start kaimen-door kaimen-gate", ["stop"]),
    ],
)
def test_services_that_may_not_or_cannot_be_stopped_or_started_are_said(
    setup: Callable[..., Terminal],
    tmp_path: Path,
    answer: str,
    failing: str,
    said: str,
    calls: list[str],
) -> None:
    services = Services(tmp_path, failing=failing)
    terminal = setup(services=services)
    terminal.asked(STOP)
    terminal.answer(answer)
    if failing == "start":
        terminal.asked(SESSION[0])
        terminal.interrupt()
    terminal.said(said)
    assert [each.split()[0] for each in services.calls] == calls


@pytest.mark.parametrize("how", ["hung up", "end of the answers", "SIGTERM"])
def test_other_ends_are_interruptions_too(how: str, setup: Callable[..., Terminal]) -> None:
    terminal = setup()
    terminal.session(*SESSION[:3])
    terminal.asked(SESSION[3])
    if how == "end of the answers":
        terminal.process.sendeof()
    else:
        terminal.kill(signal.SIGHUP if how == "hung up" else signal.SIGTERM)
    assert terminal.ended() == 130
    assert files(terminal) == {}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_however_it_ends_during_the_lease_the_relay_is_off(
    number: signal.Signals, setup: Callable[..., Terminal]
) -> None:
    terminal = setup(old=OLD)
    terminal.session(*SESSION[:5])
    until = time.monotonic() + PATIENCE
    while len(terminal.levels) < 2:
        assert time.monotonic() < until
        time.sleep(0.005)
    terminal.kill(number)
    while len(terminal.levels) < 3:
        assert time.monotonic() < until
        time.sleep(0.005)
    terminal.process.wait()
    assert terminal.levels == [(4, 1), (4, 0), (4, 1)]
    assert files(terminal) == {"kaimen.toml": OLD}


def test_a_reversed_relay_is_tried_the_other_way_round(setup: Callable[..., Terminal]) -> None:
    terminal = setup()
    terminal.session(*SESSION[:3], Step(SESSION[3].asks, "high"), SESSION[4])
    terminal.session(Step(SESSION[5].asks, "reversed"), *SESSION[4:])
    assert terminal.ended() == 0
    assert not Settings.read(terminal.file).door.active_high


def test_giving_up_leaves_the_relay_as_the_old_settings_have_it_at_rest(
    setup: Callable[..., Terminal],
) -> None:
    old = OLD.replace("active_high = true", "active_high = false")
    terminal = setup(old=old)
    terminal.session(*SESSION[:2], Step(SESSION[2].asks, "17"), Step(SESSION[3].asks, "high"))
    terminal.session(SESSION[4])
    terminal.asked(SESSION[5])
    assert terminal.levels == [(17, 1), (17, 0)]  # and so it would stay: low, where low is on
    terminal.interrupt()
    assert terminal.ended() == 130
    assert terminal.levels == [(17, 1), (17, 0), (17, 1)]
    assert files(terminal) == {"kaimen.toml": old}


def test_a_door_that_did_not_open_is_asked_for_again(setup: Callable[..., Terminal]) -> None:
    terminal = setup()
    terminal.session(*SESSION[:5], Step(SESSION[5].asks, "no"))
    terminal.session(Step(SESSION[2].asks, "5"), *SESSION[3:])
    assert terminal.ended() == 0
    assert Settings.read(terminal.file).door.pin == 5
    assert terminal.levels == [(4, 1), (4, 0), (4, 1), (5, 1), (5, 0), (5, 1)]


def test_an_untried_relay_moves_nothing(setup: Callable[..., Terminal]) -> None:
    terminal = setup()
    terminal.session(*SESSION[:4], Step(SESSION[4].asks, "skip"), *SESSION[6:])
    assert terminal.ended() == 0
    assert terminal.levels == []


def test_contact_and_button_are_seen_to_move(setup: Callable[..., Terminal]) -> None:
    terminal = setup()
    terminal.session(*SESSION[:9])
    terminal.asked(SESSION[9])
    for level, state in (("low", "  open"), ("high", "  closed")):
        terminal.move(22, level)
        terminal.said(state)
    terminal.answer("")
    terminal.session(*SESSION[10:12])
    terminal.asked(SESSION[12])
    for level, state in (("low", "  pressed"), ("high", "  not pressed")):
        terminal.move(23, level)
        terminal.said(state)
    terminal.answer("")
    terminal.session(*SESSION[13:])
    assert terminal.ended() == 0


def test_a_wrong_contact_and_a_wrong_button_are_asked_again(
    setup: Callable[..., Terminal],
) -> None:
    terminal = setup()
    no = Step(SESSION[10].asks, "no")
    terminal.session(*SESSION[:10], no, *SESSION[7:13], no, *SESSION[11:])
    assert terminal.ended() == 0


@pytest.mark.parametrize(
    ("sound", "said"),
    [
        (silence(0.5), "mute"),
        (noise(1.5, -50.0), "too quiet"),
        (in_a_room(silence(0.3), 20 * spoken(0.5)).clip(-1, 1), "too loud"),
    ],
    ids=["mute", "quiet", "loud"],
)
def test_a_microphone_that_hears_badly_is_asked_for_again(
    sound: object, said: str, tmp_path: Path, setup: Callable[..., Terminal]
) -> None:
    path = tmp_path / "sound.wav"
    soundfile.write(path, sound, SAMPLE_RATE)
    terminal = setup(sound=path)
    terminal.session(SESSION[0])
    terminal.said(said)
    terminal.session(Step(SESSION[1].asks, ""), SESSION[0], *SESSION[1:])
    assert terminal.ended() == 0


def test_what_is_given_is_not_asked_but_tried(setup: Callable[..., Terminal]) -> None:
    options = ("--microphone", "default", "--relay", "4", "--active", "low", "--lease", "2")
    terminal = setup(*options, "--contact", "none", "--button", "none")
    terminal.session(SESSION[1], SESSION[4], SESSION[5], *SESSION[14:])
    assert terminal.ended() == 0
    found = Settings.read(terminal.file).door
    assert (found.pin, found.active_high, found.lease, found.contact) == (4, False, 2.0, -1)


def test_no_at_the_end_writes_nothing(setup: Callable[..., Terminal]) -> None:
    terminal = setup(old=OLD)
    terminal.session(*SESSION[:-1], Step(SESSION[-1].asks, "no"))
    terminal.said("nothing was written")
    assert terminal.ended() == 0
    assert files(terminal) == {"kaimen.toml": OLD}
