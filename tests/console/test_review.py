"""The review page: listen, mark, enroll, erase, each written down."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient

from kaimen.audit import export
from kaimen.cli.main import main
from kaimen.console.roles import Role
from kaimen.registry.kept_phrases import KeptPhrases, Mark, kept_phrases_path
from kaimen.rehearsal import RECORDINGS
from kaimen.review.keeping import as_flac
from kaimen.settings import ReviewSettings, Settings
from kaimen.sound.recording import only_phrase, read
from tests.console.conftest import Desk, Seen, post
from tests.console.readable import acts_of, require_readable
from tests.console.school import key_of


@pytest.fixture
def settings(settings: Settings) -> Settings:
    from dataclasses import replace

    return replace(settings, review=ReviewSettings(days=7))


@pytest.fixture
def phrases(settings: Settings) -> KeptPhrases:
    path = settings.gallery.file
    return KeptPhrases(kept_phrases_path(path), key_of(path.parent))


def kept(
    phrases: KeptPhrases, voice: str = "anning", verdict: str = "unknown", score: float = 0.71
) -> str:
    sound = only_phrase(read(RECORDINGS / voice / "phrase-5.mp3")).samples
    told = {
        "verdict": verdict,
        "cause": "open" if verdict == "open" else "far",
        "wanted": "",
        "score": score,
        "threshold": 0.759,
        "stratum": "opened" if verdict == "open" else "doubtful",
        "nearest": [[voice, score], ["bowen", score - 0.3]],
    }
    return phrases.keep(as_flac(sound), told, {voice})


def acts(desk: Desk) -> list[dict[str, Any]]:
    return list(export(*acts_of(desk)))


def test_a_phrase_is_listened_to_marked_and_erased_and_each_is_written_down(
    desk: Desk, registrar: TestClient, phrases: KeptPhrases
) -> None:
    number = kept(phrases)
    page = registrar.get("/review").text
    assert f"/review/{number}/sound" in page
    assert "Nearest: anning, 0.710; 0.759 was needed." in page
    heard = registrar.get(f"/review/{number}/sound")
    assert (heard.headers["Content-Type"], heard.content[:4]) == ("audio/flac", b"fLaC")
    assert heard.headers["Cache-Control"] == "no-store"
    assert post(registrar, f"/review/{number}/mark", {"said": "wrong"}).status_code == 303
    assert phrases.marks() == [Mark(number, "doubtful", False)]
    assert "marked: the gate was wrong" in registrar.get("/review").text
    assert post(registrar, f"/review/{number}/erase").status_code == 303
    assert phrases.numbers() == []
    found = acts(desk)
    assert [each["did"] for each in found] == [
        "listened to a kept phrase", "marked a kept phrase", "erased a kept phrase",
    ]  # fmt: skip
    assert "anning" not in str(found)
    assert "Measured at this door" in registrar.get("/review").text


def test_a_part_of_the_sound_is_given_to_browsers_that_ask_for_parts(
    desk: Desk, registrar: TestClient, phrases: KeptPhrases
) -> None:
    path = f"/review/{kept(phrases)}/sound"
    whole = registrar.get(path).content
    for asked, first, last in (("0-1", 0, 1), ("5-", 5, len(whole) - 1), ("7-99999999", 7, None)):
        part = registrar.get(path, headers={"Range": f"bytes={asked}"})
        end = len(whole) - 1 if last is None else last
        assert part.status_code == 206
        assert part.headers["Content-Range"] == f"bytes {first}-{end}/{len(whole)}"
        assert part.content == whole[first : end + 1]
    assert registrar.get(path, headers={"Range": "bytes=99999999-"}).status_code == 416
    assert registrar.get(path, headers={"Range": "bytes=x"}).content == whole
    assert len(acts(desk)) == 3  # of who began to listen


@pytest.mark.parametrize("data", [{}, {"said": "maybe"}, {"said": "x" * 2000}])
def test_a_mark_that_is_none_changes_nothing(
    registrar: TestClient, phrases: KeptPhrases, data: dict[str, str]
) -> None:
    number = kept(phrases)
    assert post(registrar, f"/review/{number}/mark", data).status_code == 422
    assert phrases.marks() == []


@pytest.mark.parametrize("number", ["20200101T000000-abcdef", "x", "..%2fkey", "%00"])
def test_a_phrase_that_is_not_there_is_said_in_a_sentence(
    registrar: TestClient, phrases: KeptPhrases, number: str
) -> None:
    assert registrar.get(f"/review/{number}/sound").status_code in (404, 409)
    for what, data in (("mark", {"said": "right"}), ("erase", {}), ("enroll", {"student": "a"})):
        answer = post(registrar, f"/review/{number}/{what}", data)
        assert answer.status_code in (404, 409)


def test_a_guard_hears_nobody(desk: Desk, guard: TestClient, phrases: KeptPhrases) -> None:
    number = kept(phrases)
    for path in ("/review", f"/review/{number}/sound"):
        assert guard.get(path).status_code == 403
        assert desk.client.get(path).status_code == 401
    for what in ("mark", "erase", "enroll"):
        assert post(guard, f"/review/{number}/{what}", {"said": "right"}).status_code == 403
    assert phrases.numbers() == [number]


def enroll(settings: Settings) -> None:
    folder = settings.gallery.file.parent
    key_of(folder)
    config = folder / "kaimen.toml"
    config.write_text(
        f'[gallery]\npath = "{settings.gallery.path}"\nkey = "{settings.gallery.key}"\n'
    )
    takes = sorted((RECORDINGS / "anning").glob("phrase-[1-3].mp3"))
    assert main(["enroll", "--student", "anning", *map(str, takes), "--config", str(config)]) == 0


@pytest.mark.slow
def test_a_phrase_becomes_a_recording_only_where_it_is_the_students(
    settings: Settings, desk: Desk, registrar: TestClient, phrases: KeptPhrases
) -> None:
    enroll(settings)
    other, own = kept(phrases, "bowen"), kept(phrases)
    answer = post(registrar, f"/review/{other}/enroll", {"student": "anning"})
    assert answer.status_code == 422
    assert "anning stays as before" in answer.text
    assert post(registrar, f"/review/{own}/enroll", {"student": " "}).status_code == 422
    assert post(registrar, f"/review/{own}/enroll", {"student": "anning"}).status_code == 303
    assert "anning has 4 recordings now." in registrar.get("/review").text


@pytest.mark.slow
def test_a_browser_plays_a_phrase_and_marks_it(
    settings: Settings, phrases: KeptPhrases, seen: Seen
) -> None:
    for number in range(12):
        opened = number % 3 == 0
        name = kept(phrases, "anning", "open" if opened else "retry", 0.8 if opened else 0.7)
        if number > 1:
            phrases.mark(Mark(name, "opened" if opened else "doubtful", number % 4 > 0))
        if number > 3:
            phrases.erase(name)
    seen.page.set_viewport_size({"width": 900, "height": 1100})
    seen.sign_in(Role.REGISTRAR)
    seen.go("/review")
    seconds = seen.page.locator("audio").first.evaluate(
        "it => new Promise(done => { it.onloadedmetadata = () => done(it.duration); it.load(); "
        "it.preload = 'auto'; it.load(); })"
    )
    assert 0.3 < seconds < 5
    seen.picture("review")
    require_readable(seen)
    unmarked = seen.page.locator("li.card:not(:has-text('marked:'))")
    before = unmarked.count()
    assert before
    unmarked.first.get_by_role("button", name="The gate was right").click()
    unmarked.nth(before - 1).wait_for(state="detached")
    seen.page.wait_for_load_state()
    assert unmarked.count() == before - 1
