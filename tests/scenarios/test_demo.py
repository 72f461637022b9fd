"""The demo as `make demo` runs it, and that its exit code can be trusted."""

from __future__ import annotations

import io
import json
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import soundfile
from rich.console import Console

from kaimen.cli.main import main
from kaimen.door.pins import Change
from kaimen.enrollment.entries import recordings_in
from kaimen.errors import SettingsError
from kaimen.rehearsal import RECORDINGS, VOICES, promise
from kaimen.rehearsal.attack import Count
from kaimen.rehearsal.day import Visit, counted, day
from kaimen.rehearsal.promise import Limit
from kaimen.rehearsal.tables import counts_table, visits_table, what_went_wrong
from kaimen.rehearsal.visitors import Kind, Visitor, plan
from kaimen.screen import Screen
from kaimen.voice.encoder import Encoder

CLASS = VOICES / "zhongguo-shanghai"
CLASSIC = (
    Path(__file__).parents[2]
    / "training"
    / "kaimen_train"
    / "weights"
    / "ladder"
    / "classic39.tflite"
)


def some_people(folder: Path, voices: dict[str, dict[str, str]]) -> Path:
    """A folder of people who say phrases 1 to 5: by name, whose voice says which of them."""
    for name, takes in voices.items():
        (folder / name).mkdir(parents=True)
        for numbers, voice in takes.items():
            for number in numbers:
                shutil.copy(CLASS / voice / f"phrase-{number}.mp3", folder / name)
    return folder


@pytest.fixture(scope="module")
def visits(tmp_path_factory: pytest.TempPathFactory) -> list[Visit]:
    """The day of three people."""
    voices = {name: {"12345": name} for name in ("s01", "s02", "s07")}
    folder = some_people(tmp_path_factory.mktemp("class"), voices)
    return day(Encoder(), [folder], Screen(as_json=True), replays=True)


@pytest.mark.slow
def test_the_shipped_encoder_keeps_its_promise(capsys: pytest.CaptureFixture) -> None:
    assert main(["demo", "--json"]) == 0
    *visits, summary = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert summary["kept"] and summary["visits"] == len(visits)
    assert set(summary["kinds"]) == {kind.value for kind in Kind}
    for visit in visits:
        states = [on for _, on in visit["trace"]]
        opened = visit["verdict"] == "open"
        assert states == ([False, True, False] if opened else [False])
        assert visit["right"] is (
            opened and visit["student"] == visit["who"]
            if visit["kind"] == "student"
            else not opened
        )


@pytest.mark.slow
def test_the_mean_of_the_classic_features_does_not(capsys: pytest.CaptureFixture) -> None:
    assert main(["demo", "--encoder", str(CLASSIC), "--json"]) == 1
    students = json.loads(capsys.readouterr().out.splitlines()[-1])["kinds"]["student"]
    assert students["wrong"] > 2 * students["wrong_at_most"]


@pytest.mark.slow
def test_synthetic_voices_are_told_apart_by_their_words(capsys: pytest.CaptureFixture) -> None:
    assert main(["demo", "--synthetic", "--json"]) == 0
    kinds = json.loads(capsys.readouterr().out.splitlines()[-1])["kinds"]
    assert set(kinds) == {"student", "wrong words", "noise"}


def test_the_promise_is_of_the_voices_that_come_along() -> None:
    """A class or a visitor more, and it must be measured anew."""
    come = [
        visitor.kind
        for folder in VOICES.glob("*/")
        for session in plan(recordings_in(folder)).sessions
        for visitor in session.visitors
    ]
    limits = promise.load()
    assert {kind: come.count(kind) for kind in Kind} == {
        kind: limit.visits for kind, limit in limits.items()
    }


def test_the_voices_are_small_and_mono() -> None:
    files = list(VOICES.glob("*/*/*.mp3"))
    assert sum(file.stat().st_size for file in files) < 2_000_000
    for file in files:
        info = soundfile.info(file)
        assert (info.samplerate, info.channels, info.format) == (16_000, 1, "MP3")


def test_each_student_is_a_stranger_to_the_others_only() -> None:
    people = {name: [Path(f"{name}/phrase-{n}.mp3") for n in range(6)] for name in "abc"}
    people["a"].append(Path("a/other-1.mp3"))
    people["once"] = [Path("once/phrase-1.mp3"), Path("once/other-1.mp3")]
    made = plan(people)
    assert {name: len(files) for name, files in made.enrolling.items()} == dict.fromkeys("abc", 4)
    everybody, *without = made.sessions
    kinds = [(visitor.name, visitor.kind) for visitor in everybody.visitors]
    assert kinds.count(("a", Kind.STUDENT)) == 2 and kinds.count(("a", Kind.OTHER_PHRASE)) == 1
    assert ("once", Kind.STRANGER) in kinds and ("once", Kind.PASSER_BY) in kinds
    assert not any(kind is Kind.STRANGER for name, kind in kinds if name != "once")
    assert [session.without for session in without] == ["a", "b", "c"]
    for session in without:
        assert [(each.name, each.kind) for each in session.visitors] == [
            (session.without, Kind.STRANGER)
        ] * 6


def test_two_students_are_no_class() -> None:
    people = {name: [Path(f"{name}/{n}.mp3") for n in range(6)] for name in "ab"}
    with pytest.raises(SettingsError, match="at least 3"):
        plan(people)


@pytest.mark.slow
def test_a_folder_of_ones_own_is_played(visits: list[Visit]) -> None:
    counts = counted(visits)
    assert {kind: count.attempts for kind, count in counts.items()} == {
        Kind.STUDENT: 6,
        Kind.STRANGER: 15,
        Kind.REPLAY: 6,
        Kind.NEW_REPLAY: 6,
        Kind.NO_VOICE: 4,
    }
    limits = promise.load()
    for kind, count in counts.items():
        assert promise.wrong(kind, count) <= limits[kind].allowed(count.attempts)


def test_the_tables_fit_a_terminal_of_sixty_and_of_a_hundred_columns(visits: list[Visit]) -> None:
    for width in (60, 100):
        out = Console(width=width, file=io.StringIO())
        out.print(visits_table(visits, width))
        out.print(counts_table(counted(visits), promise.load(), width))
        assert isinstance(out.file, io.StringIO)
        shown = out.file.getvalue()
        assert "…" not in shown and "stranger" in shown and "✓" in shown


def test_long_names_give_way_to_the_verdict_at_sixty_columns(visits: list[Visit]) -> None:
    named = [
        replace(visit, visitor=replace(visit.visitor, name="a name that is long " * 3))
        for visit in visits
    ]
    out = Console(width=60, file=io.StringIO())
    out.print(visits_table(named, 60))
    assert isinstance(out.file, io.StringIO)
    shown = out.file.getvalue()
    assert max(map(len, shown.splitlines())) <= 60
    assert shown.count("✓") + shown.count("✗") == len(chosen_of(shown)) > 3


def chosen_of(shown: str) -> list[str]:
    """The lines of a table that begin a visit, by what opened or not."""
    return [line for line in shown.splitlines() if " open" in line or " shut" in line]


def test_what_went_wrong_is_said_by_kind(visits: list[Visit]) -> None:
    nothing = {kind: Limit(1_000_000, 0) for kind in Kind}
    counts = {
        Kind.STUDENT: Count("student", 5, 3, Counter({"no phrase": 2})),
        Kind.STRANGER: Count("stranger", 5, 1, Counter({"voice": 4})),
        Kind.NO_VOICE: Count("noise", 5, 0, Counter({"voice": 5})),
    }
    student, stranger = what_went_wrong(counts, nothing)
    assert student.startswith("student: 2 of 5 were not let in as themselves (by no phrase 2)")
    assert stranger.startswith("stranger: 1 of 5 were let in")


@pytest.mark.slow
def test_the_demo_draws_its_tables(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    people = some_people(
        tmp_path / "class", {name: {"145": name} for name in ("s01", "s02", "s07")}
    )
    picture = tmp_path / "demo.svg"
    assert main(["demo", "--speech", str(people), "--picture", str(picture)]) == 0
    shown = capsys.readouterr().out
    assert "As promised." in shown and "▔" in shown
    assert "promised" in picture.read_text(encoding="utf-8")


@pytest.mark.slow
def test_strangers_who_get_in_make_the_exit_code_one(tmp_path: Path) -> None:
    """Two people have one voice: each gets in while the other is away."""
    voices = {"a": {"12345": "s01"}, "b": {"12345": "s02"}, "c": {"12345": "s07"}}
    people = some_people(tmp_path, voices)
    shutil.copytree(people / "a", people / "d")
    assert main(["demo", "--speech", str(people), "--json"]) == 1


@pytest.mark.slow
def test_students_who_are_not_let_in_make_the_exit_code_one(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    """The last takes of the first person are those of somebody else, who is enrolled."""
    voices = {
        "a": {"123": "s01", "67": "s02"},
        "b": {"12345": "s02"},
        "c": {"12345": "s07"},
    }
    people = some_people(tmp_path, voices)
    assert main(["demo", "--speech", str(people), "--json"]) == 1
    students = json.loads(capsys.readouterr().out.splitlines()[-1])["kinds"]["student"]
    assert students["wrong"] == 2 and students["stopped_by"] == {"taken for another": 2}


def test_recordings_of_ones_own_are_not_synthetic(capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit):
        main(["demo", "--speech", str(RECORDINGS), "--synthetic"])
    assert "not allowed with" in capsys.readouterr().err


def test_a_promise_is_the_end_of_an_interval_and_none_for_noise() -> None:
    def visit(kind: Kind, opened: bool) -> Visit:
        trace = [Change(0.0, False), Change(0.1, True), Change(0.2, False)]
        return Visit(Visitor("x", kind, "", lambda: iter(())), [], 1, trace[: 3 if opened else 1])

    visits = [visit(Kind.STRANGER, n < 2) for n in range(100)]
    visits += [visit(Kind.NO_VOICE, False) for _ in range(8)]
    limits = promise.measured(counted(visits))
    # 2 of 100: Wilson's interval ends at 7.0 %.
    assert limits == {Kind.STRANGER: Limit(100, 7), Kind.NO_VOICE: Limit(8, 0)}
    assert [Limit(100, 7).allowed(visits) for visits in (100, 200, 14, 15)] == [7, 14, 0, 1]


def test_a_promise_is_read_as_it_was_written(tmp_path: Path) -> None:
    limits = {kind: Limit(10 + place, place) for place, kind in enumerate(Kind)}
    promise.save(limits, tmp_path / "promise.json")
    assert promise.load(tmp_path / "promise.json") == limits
