"""The map's page: drawn fast, moved smoothly, and probes that land on it."""

from __future__ import annotations

import contextlib
import datetime
import json
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from kaimen.console.pages.latent_map import Landing
from kaimen.console.roles import Role
from kaimen.gallery.latent_map import map_path
from kaimen.installation import Installation
from kaimen.screen import Screen
from kaimen.settings import Settings
from tests.console.conftest import Desk, Made, Seen, post
from tests.console.readable import require_readable
from tests.console.school import decision, key_of, make_map, make_school
from tests.monitoring.simulated import write

LARGE = 20_000


@pytest.fixture
def school(settings: Settings) -> Settings:
    make_school(settings, 40)
    return settings


@pytest.fixture
def desk(desk_of: Made, school: Settings) -> Desk:
    return desk_of(school)


def say(settings: Settings, student: int, score: float) -> None:
    """Write the decision of a student who comes now."""
    now = datetime.datetime.now(datetime.UTC)
    folder = settings.gallery.file.parent
    record = decision(settings, now, student, score, score - 0.3)
    write([record], folder / "audit", key_of(folder).derive("audit"))


def test_without_a_map_one_can_be_made(registrar: TestClient, school: Settings) -> None:
    assert "Make the map" in registrar.get("/map").text
    assert registrar.get("/map/places").status_code == 409
    assert post(registrar, "/map/fit").status_code == 303
    assert map_path(school.gallery.file).exists()
    places = registrar.get("/map/places").json()
    assert {name: len(values) for name, values in places.items()} == dict.fromkeys(places, 40)
    assert places["names"][0] == "s0000"


def test_a_click_shows_a_student_and_who_is_like_them(
    registrar: TestClient, school: Settings
) -> None:
    make_map(school)
    number = registrar.get("/map/places").json()["numbers"][7]
    part = registrar.get(f"/map/student/{number}").text
    assert "s0007" in part
    assert part.count("data-number") == 10
    assert registrar.get("/map/student/999999").status_code == 404


def test_only_who_enrolls_sees_it(desk: Desk, guard: TestClient, school: Settings) -> None:
    make_map(school)
    for path in ("/map", "/map/places", "/map/student/1", "/map/feed"):
        assert guard.get(path).status_code == 403
        assert desk.client.get(path).status_code == 401
    assert post(guard, "/map/fit").status_code == 403


def test_a_probe_lands_by_its_scores_and_takes_no_voiceprint_along(
    desk: Desk, school: Settings
) -> None:
    make_map(school)
    say(school, 3, 0.8)
    say(school, 5, 0.4)
    landing, worker = Landing(desk.console.installation), desk.console.worker
    records = worker.submit(landing.records, 0).result()
    assert [each["number"] for each in records] == [2]
    records = worker.submit(landing.records, 1).result()
    (probe,) = worker.submit(landing.probes, records).result()
    assert probe["verdict"] == "unknown"
    assert [name for _, name, _ in probe["nearest"]] == ["s0005", "s0006"]
    assert set(probe) == {
        "number", "at", "verdict", "score", "threshold", "x", "y", "nearest",
    }  # fmt: skip
    assert worker.submit(landing.records, 2).result() == []


def test_who_is_removed_elsewhere_lands_nobody_any_more(
    registrar: TestClient, desk: Desk, school: Settings
) -> None:
    make_map(school)
    assert len(registrar.get("/map/places").json()["names"]) == 40
    say(school, 5, 0.8)
    with Installation.open(school, Screen(as_json=True)) as other:
        other.gallery.remove("s0005")
    assert "s0005" not in registrar.get("/map/places").json()["names"]
    landing, worker = Landing(desk.console.installation), desk.console.worker
    (probe,) = worker.submit(landing.probes, worker.submit(landing.records, 0).result()).result()
    assert [name for _, name, _ in probe["nearest"]] == ["s0006"]


@pytest.fixture
def mapped(settings: Settings, seen: Seen) -> Iterator[Seen]:
    make_school(settings, 300)
    make_map(settings)
    seen.page.set_viewport_size({"width": 900, "height": 1100})
    seen.sign_in(Role.REGISTRAR)
    yield seen


@pytest.mark.slow
def test_a_browser_finds_a_student_and_sees_who_speaks(mapped: Seen, settings: Settings) -> None:
    page = mapped.page
    mapped.go("/map")
    page.wait_for_selector("body[data-drawn]")
    say(settings, 42, 0.81)
    page.locator("#probes td", has_text="s0042 0.810").wait_for()
    say(settings, 17, 0.4)
    page.locator("#probes td", has_text="stayed shut").wait_for()
    page.get_by_label("Find a student").fill("s0042")
    page.get_by_label("Find a student").press("Enter")
    page.get_by_role("heading", name="s0042").wait_for()
    assert page.locator("#chosen tbody tr").count() == 10
    canvas = page.locator("#map")
    canvas.focus()
    for key in ("-", "-", "ArrowLeft", "ArrowLeft"):
        canvas.press(key)
    page.wait_for_timeout(200)
    mapped.picture("map")
    page.locator("#chosen button").first.press("Enter")
    page.locator("#chosen-name:not(:text('s0042'))").wait_for()
    require_readable(mapped)


FRAMES = """
() => new Promise(done => {
  const canvas = document.getElementById("map"), lasted = [];
  const box = canvas.getBoundingClientRect();
  const at = (kind, x, y) => canvas.dispatchEvent(new PointerEvent(kind, {
    pointerId: 1, clientX: box.x + x, clientY: box.y + y, bubbles: true, isPrimary: true,
  }));
  canvas.setPointerCapture = () => {};
  let before = performance.now(), step = 0;
  at("pointerdown", 400, 300);
  const frame = () => {
    const now = performance.now();
    lasted.push(now - before);
    before = now;
    step += 1;
    at("pointermove", 400 + 150 * Math.sin(step / 9), 300 + 100 * Math.cos(step / 7));
    if (step % 10 === 0) canvas.dispatchEvent(new WheelEvent("wheel", {
      deltaY: step % 20 ? -120 : 120, clientX: box.x + 400, clientY: box.y + 300, cancelable: true,
    }));
    if (step < 120) requestAnimationFrame(frame); else done(lasted.slice(1));
  };
  requestAnimationFrame(frame);
})
"""


# Frames from the moment the page begins to load, until some after the map is drawn.
FROM_THE_FIRST = """
window.framesFromTheFirst = new Promise(done => {
  const lasted = [];
  let before = performance.now(), left = 30;
  const frame = () => {
    const now = performance.now();
    lasted.push(now - before);
    before = now;
    if (document.body?.dataset.drawn) left -= 1;
    if (left) requestAnimationFrame(frame); else done(lasted);
  };
  requestAnimationFrame(frame);
})
"""


@contextlib.contextmanager
def traced(page: Any) -> Iterator[list[float]]:
    """Yield a list that holds, afterwards, the processor time of each task of the page, in ms."""
    session, events, ended = page.context.new_cdp_session(page), [], []
    lasted: list[float] = []
    session.on("Tracing.dataCollected", lambda part: events.extend(part["value"]))
    session.on("Tracing.tracingComplete", lambda part: ended.append(part))
    session.send("Tracing.start", {"categories": "toplevel", "transferMode": "ReportEvents"})
    yield lasted
    session.send("Tracing.end")
    while not ended:
        page.wait_for_timeout(50)
    threads = {
        (each["pid"], each["tid"]): each["args"]["name"]
        for each in events
        if each["name"] == "thread_name"
    }
    lasted += [
        each["tdur"] / 1000
        for each in events
        if "tdur" in each and threads.get((each["pid"], each["tid"])) == "CrRendererMain"
    ]


@pytest.mark.slow
def test_twenty_thousand_students_are_drawn_and_moved(
    mapped: Seen, capsys: pytest.CaptureFixture[str]
) -> None:
    """Figures, printed with -s: seconds from the page's load to the map, and of each frame.

    Frames grow long where other programs use the machine; a task's processor time does not.
    """
    random = np.random.default_rng(0)
    places = random.normal(0, 0.3, (LARGE, 2)).clip(-1, 1).round(5)
    content: dict[str, Any] = {
        "numbers": list(range(LARGE)),
        "names": [f"student {number:05}" for number in range(LARGE)],
        "groups": [f"{number % 40}" for number in range(LARGE)],
        "x": places[:, 0].tolist(),
        "y": places[:, 1].tolist(),
    }
    mapped.page.route(
        "**/map/places",
        lambda route: route.fulfill(body=json.dumps(content), content_type="application/json"),
    )
    mapped.page.add_init_script(FROM_THE_FIRST)
    with traced(mapped.page) as tasks:
        began = time.monotonic()
        mapped.go("/map")
        loaded = time.monotonic() - began
        mapped.page.wait_for_selector("body[data-drawn]")
        drawn = time.monotonic() - began
        first = mapped.page.evaluate("window.framesFromTheFirst")
    assert len(first) >= 30
    assert tasks
    lasted = sorted(mapped.page.evaluate(FRAMES))
    assert len(lasted) == 119
    figures = {
        "students": LARGE,
        "loaded_s": round(loaded, 2),
        "drawn_s": round(drawn, 2),
        "first_frame_longest_ms": round(max(first), 1),
        "task_longest_processor_ms": round(max(tasks), 1),
        "frame_median_ms": round(lasted[len(lasted) // 2], 1),
        "frame_longest_ms": round(lasted[-1], 1),
    }
    with capsys.disabled():
        print(f"\n{json.dumps(figures)}")
    assert mapped.page.locator("#map").evaluate("it => it.width > 300 && it.height > 300")
