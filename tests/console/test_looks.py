"""Each page as it looks: readable for everybody in both languages, and pictures of it for docs/use.

``KAIMEN_PICTURES=1 pytest tests/console/test_looks.py`` takes the pictures anew. What they show is
of a made-up gate.
"""

from __future__ import annotations

import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from kaimen.console.enrolling import EnrollmentSession
from kaimen.console.examination import Examined
from kaimen.console.roles import Role
from kaimen.enrollment.advice import Advice
from kaimen.enrollment.at_microphone import HeardLevel
from kaimen.enrollment.coach import TakeJudgement
from kaimen.enrollment.entries import Entry
from kaimen.enrollment.take_quality import TakeQuality
from kaimen.fleet.store import Store
from kaimen.gate.feed import Feed
from kaimen.installation import Installation
from kaimen.privacy.certificate import Certificate
from kaimen.registry.erasures import Backup
from kaimen.registry.fleet_marks import fleet_store_path
from kaimen.screen import Screen
from kaimen.settings import Settings
from tests.console.conftest import Seen
from tests.console.test_gates import put_in_a_fleet
from tests.console.test_live import OPENED, hearing
from tests.console.test_students import enrolled

pytestmark = pytest.mark.slow

LANGUAGES = ("en", "zh")
SIZES = {"phone": (390, 844), "desk": (1280, 800)}
NARROW = (360, 740)  # of which no picture is taken
NOW = time.time()
DECISIONS: list[dict[str, Any]] = [
    {**OPENED, "at": NOW - 80, "student": "Wang Anning"},
    {**OPENED, "at": NOW - 55, "verdict": "unknown", "cause": "far", "student": None,
     "score": 0.412, "checks": {}},
    {**OPENED, "at": NOW - 30, "verdict": "refused", "cause": "loudspeaker", "student": None,
     "score": 0.884,
     "checks": {"phrase": {"score": 0.82, "threshold": 0.4},
                "loudspeaker": {"score": -0.93, "threshold": -0.5}}},
    {**OPENED, "at": NOW - 12, "verdict": "retry", "cause": "far", "student": None,
     "score": 0.661, "checks": {}},
    {**OPENED, "at": NOW - 5, "student": "Li Bowen", "pooled": 0.79},
]  # fmt: skip
FINDINGS = [
    {"name": "microphone", "state": "ok", "found": "the gate listens at it (process 812)"},
    {"name": "pins", "state": "ok", "found": "relay 17, contact 5; pinctrl-rp1 (gpiochip0)"},
    {"name": "encoder", "state": "ok",
     "found": "the large one: large, 192 dimensions, 0bda8f782e0e, by LiteRT"},
    {"name": "gallery", "state": "ok", "found": "412 students"},
    {"name": "power", "state": "attention", "found": "undervoltage since the start (0x50000)",
     "mend": "use the Pi's own power supply and a short cable; a relay wants one of its own"},
    {"name": "clock", "state": "broken",
     "found": "1970-01-01 00:05 is before Kaimen was installed (2026-09-01)",
     "mend": "set it with 'sudo date -s ...', and add a real-time clock"},
]  # fmt: skip


def look(seen: Seen, name: str, language: str) -> None:
    """Take pictures at both widths; nothing serious is found in either scheme, nor cut off."""
    for size, (width, height) in {"narrow": NARROW, **SIZES}.items():
        seen.page.set_viewport_size({"width": width, "height": height})
        if size in SIZES:
            seen.picture(f"{name}-{size}-{language}")
        wide = seen.page.evaluate("document.documentElement.scrollWidth")
        assert wide <= width, f"the page is {wide} wide"
        for scheme in ("light", "dark"):
            seen.page.emulate_media(color_scheme=scheme)
            assert seen.complaints() == [], (size, scheme)
        seen.page.emulate_media(color_scheme="light")


@pytest.mark.parametrize("language", LANGUAGES)
def test_signing_in(seen: Seen, language: str) -> None:
    seen.speak(language)
    seen.go("/sign-in")
    look(seen, "sign-in", language)


@pytest.mark.parametrize("language", LANGUAGES)
def test_live(seen: Seen, settings: Settings, language: str) -> None:
    with Feed.listening(settings.console.feed_path, pytest.fail) as feed, hearing(feed):
        feed.state("gate", {"shut": "", "microphone": "usb: PCM2902, channel 1", "overruns": 0})
        feed.state("door", {"state": "unlocked", "relay": True, "faults": []})
        for each in DECISIONS:
            feed.decision(each)
        seen.speak(language)
        seen.sign_in(Role.REGISTRAR)
        seen.go("/live")
        seen.page.get_by_text("Li Bowen").wait_for()
        seen.page.locator("details").nth(2).click()
        seen.page.locator("#level-figure:not(:empty)").wait_for()
        look(seen, "live", language)


@pytest.mark.parametrize("language", LANGUAGES)
def test_health(seen: Seen, language: str) -> None:
    seen.console.examination.last = Examined(FINDINGS, time.time())
    seen.speak(language)
    seen.sign_in(Role.GUARD)
    seen.go("/health")
    seen.page.get_by_text("pinctrl-rp1").wait_for()
    look(seen, "health", language)


@pytest.mark.parametrize("language", LANGUAGES)
def test_gates(seen: Seen, settings: Settings, language: str) -> None:
    put_in_a_fleet(settings)
    with closing(Store(fleet_store_path(settings.gallery.file))) as store:
        away = {**store.gates()["north"], "students": 810}
        not_armed = "the door is not armed: nobody is enrolled; begin with 'kaimen enroll'"
        store.put_gate("north", {**away, "problems": []})
        store.put_gate("sports", {**away, "online": True, "students": 0, "problems": [not_armed]})
    seen.speak(language)
    seen.sign_in(Role.GUARD)
    seen.go("/gates")
    seen.page.get_by_text("canteen").wait_for()
    look(seen, "gates", language)


@pytest.mark.parametrize("language", LANGUAGES)
def test_acts(seen: Seen, language: str) -> None:
    for who, did in (("chen", "signed in"), ("chen", "opened the door by hand")):
        seen.console.audit(who, did, address="192.168.1.20")
    seen.speak(language)
    seen.sign_in(Role.ADMIN)
    seen.go("/acts")
    look(seen, "acts", language)


def test_the_keyboard_alone_opens_the_door_and_reaches_everything(
    seen: Seen, settings: Settings
) -> None:
    seen.sign_in(Role.GUARD)
    seen.go("/live")
    names = []
    for _ in range(9):
        seen.page.keyboard.press("Tab")
        names.append(seen.page.evaluate("document.activeElement.textContent.trim()"))
    assert names[0] == "To the content"
    assert {"Live", "Health", "中文", "Sign out", "Open for 3 s"} <= set(names)


@pytest.mark.parametrize("language", LANGUAGES)
def test_students(seen: Seen, settings: Settings, language: str) -> None:
    names = ["Chen Xi", "Li Bowen", "Wang Anning", "王安宁", "李博文", "陈曦"]
    enrolled(settings, *names, *(f"s{number:04}" for number in range(1, 61)))
    backup = Backup("5f0c2a91d7e34b68", "2026-11-27T02:00:00+00:00", "/media/usb/school.backup")
    with Installation.open(settings, Screen(as_json=True)) as installation:
        installation.registry.erasures.add_backup(backup)
    seen.speak(language)
    seen.sign_in(Role.ADMIN)
    seen.go("/students")
    look(seen, "students", language)
    seen.page.get_by_role("link", name="Li Bowen").click()
    seen.page.locator("#about-title").wait_for()
    look(seen, "student", language)
    seen.page.locator("a[href*='/recordings/']").first.click()
    seen.page.locator('form[action$="/remove"] button.danger').wait_for()
    look(seen, "remove-recording", language)
    seen.page.locator("button.danger").click()
    seen.page.get_by_role("status").locator(".said").first.wait_for()
    assert seen.page.locator("a[href*='/recordings/']").count() == 4
    seen.page.locator("a[href$='/remove']:not([href*='/recordings/'])").click()
    seen.page.locator('form[action$="/erase"] button.danger').wait_for()
    look(seen, "remove", language)
    seen.page.locator('form[action$="/erase"] button.danger').click()
    seen.page.locator('form[action$="/certificate"]').wait_for()
    look(seen, "erased", language)
    with seen.page.expect_download() as given:
        seen.page.locator('form[action$="/certificate"] button').click()
    certificate = Certificate.read(Path(given.value.path()))
    assert certificate.is_of("Li Bowen")
    assert [each["place"] for each in certificate.statement.backups] == [backup.place]


@pytest.mark.parametrize("language", LANGUAGES)
def test_enrolling(seen: Seen, language: str) -> None:
    seen.speak(language)
    seen.sign_in(Role.REGISTRAR)
    seen.go("/enrolling/new")
    look(seen, "enroll", language)

    def work(session: EnrollmentSession) -> None:
        session.tell("listening", True)
        session.level = HeardLevel(-31.0, speaking=True)
        quality = TakeQuality(1.4, 0.8, -27.0, 31.0, 0.0)
        for number, kept, advice, good in (
            (1, True, Advice.NEXT, 1), (2, False, Advice.LOUDER, 1), (3, True, Advice.NEXT, 2),
        ):  # fmt: skip
            session.tell(
                "take",
                TakeJudgement(number, kept, advice, "", quality, good, 20 * good, None, False),
            )
        looked.wait()

    looked = threading.Event()
    session = EnrollmentSession(Entry("Li Bowen", ()), work)
    seen.console.enrolling.session = session
    session.start()
    try:
        seen.go("/enrolling")
        seen.page.locator("#takes li").nth(2).wait_for()
        look(seen, "enrolling", language)
    finally:
        looked.set()
        session.join()
