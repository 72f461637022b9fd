"""What the console costs a gate: ``python -m tests.console.measure`` (docs/figures/console.md).

A gate hears the same phrases in their own time, in turns without a console and with one that ten
watchers look at, and one browser unless it is left out. One JSON object a turn: seconds of each
decision's computing, of the gate's processor time, and from a decision to its being shown.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from kaimen.cli.main import main as kaimen
from kaimen.console.roles import Role
from kaimen.installation import Installation
from kaimen.rehearsal import RECORDINGS
from kaimen.settings import Settings
from kaimen.sound import SAMPLE_RATE
from kaimen.sound.recording import read
from tests.console.conftest import BROWSER, PASSWORD
from tests.sounds import in_a_room, silence

WATCHERS = 10
COMMAND = [sys.executable, "-m", "kaimen.cli.main"]
SHOWN = """() => {
  window.shown = [];
  new MutationObserver((changes) => {
    for (const change of changes) for (const each of change.addedNodes)
      if (each.dataset) window.shown.push(Date.now() / 1000 - each.dataset.at);
  }).observe(document.getElementById("decisions"), {childList: true});
}"""


def school(folder: Path, phrases: int, port: int) -> Path:
    """Enroll two students, and write down a recording of them at the gate."""
    config = folder / "kaimen.toml"
    config.write_text(
        f'[gallery]\npath = "{folder}/gallery.sqlite"\nkey = "{folder}/key"\n'
        "[door]\nmock = true\n[checks]\nreplay = false\n"
        f'[console]\nfeed = "{folder}/run/feed"\nport = {port}\nnames = "guard"\n'
    )
    for voice in ("anning", "bowen"):
        takes = sorted((RECORDINGS / voice).glob("phrase-[1-5].mp3"))
        arguments = ["enroll", "--student", voice, *map(str, takes), "--config", str(config)]
        assert kaimen(arguments) == 0
    spoken = [read(RECORDINGS / voice / "phrase-6.mp3") for voice in ("anning", "bowen")]
    parts = [part for n in range(phrases) for part in (spoken[n % 2], silence(1.0))]
    soundfile.write(folder / "day.wav", in_a_room(silence(3.0), *parts), SAMPLE_RATE)
    with Installation.open(Settings.read(config)) as installation:
        from kaimen.console.accounts import Accounts

        accounts = Accounts(installation.accounts_path, installation.vault_or_new)
        accounts.put("watcher", Role.GUARD, PASSWORD)
    return config


def signed_in(port: int) -> str:
    """Sign in as a browser does; return the cookie."""
    asked = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    asked.request("GET", "/sign-in")
    answer = asked.getresponse()
    token = re.search(r'"X-Kaimen-Token": "(\w+)"', answer.read().decode())
    cookie = str(answer.getheader("Set-Cookie")).partition(";")[0]
    assert token
    form = f"token={token[1]}&name=watcher&password={PASSWORD.replace(' ', '+')}"
    kind = "application/x-www-form-urlencoded"
    asked.request("POST", "/sign-in", form, {"Cookie": cookie, "Content-Type": kind})
    answer = asked.getresponse()
    answer.read()
    assert answer.status == 303, answer.status
    return str(answer.getheader("Set-Cookie")).partition(";")[0]


def watch(port: int, cookie: str, delays: list[float]) -> None:
    """Read the feed; note how long after its time each decision came."""
    asked = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    asked.request("GET", "/live/feed", headers={"Cookie": cookie})
    answer = asked.getresponse()
    with contextlib.suppress(OSError, http.client.HTTPException):
        while line := answer.readline():
            if found := re.search(rb'data-at="([0-9.]+)"', line):
                delays.append(time.time() - float(found[1]))


@contextlib.contextmanager
def console(config: Path, port: int, found: dict[str, Any], *, browser: bool) -> Iterator[None]:
    """A console that is watched; what was measured of it is in ``found`` at the end."""
    # As its unit has it.
    running = subprocess.Popen(["nice", "-n", "5", *COMMAND, "console", "--config", str(config)])
    try:
        cookie = None
        while cookie is None:
            with contextlib.suppress(ConnectionRefusedError):
                cookie = signed_in(port)
            time.sleep(0.2)
        delays: list[float] = []
        for _ in range(WATCHERS):
            threading.Thread(target=watch, args=(port, cookie, delays), daemon=True).start()
        with page(port, cookie) if browser else contextlib.nullcontext() as shown:
            yield
            time.sleep(1)
            found["shown_in_browser"] = shown.evaluate("window.shown") if shown else []
        found["told_to_watchers"] = delays
        memory = Path(f"/proc/{running.pid}/smaps_rollup").read_text()
        found["console_memory_mb"] = {
            name: sum(map(int, re.findall(rf"^{name}:\s+(\d+)", memory, re.M))) / 1000
            for name in ("Rss", "Pss", "Private_(?:Clean|Dirty)")
        }
        found["console_processor_seconds"] = processor_seconds(running.pid)
    finally:
        running.terminate()
        running.wait()


@contextlib.contextmanager
def page(port: int, cookie: str) -> Iterator[Any]:
    """The Live page in a browser; None where there is no browser."""
    if BROWSER is None:
        yield None
        return
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        shown = opened.new_page()
        name, _, value = cookie.partition("=")
        address = f"http://127.0.0.1:{port}"
        shown.context.add_cookies([{"name": name, "value": value, "url": address}])
        shown.goto(f"{address}/live")
        shown.evaluate(SHOWN)
        yield shown
        opened.close()


def processor_seconds(process: int) -> float:
    """Processor time of a process so far."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def gate(config: Path, found: dict[str, Any]) -> None:
    """Let a gate hear the day."""
    play = ["--json", "--play", str(config.parent / "day.wav")]
    running = subprocess.Popen(
        [*COMMAND, "run", "--config", str(config), *play], stdout=subprocess.PIPE, text=True
    )
    assert running.stdout is not None
    answers, spent = [], 0.0
    for line in running.stdout:
        told = json.loads(line)
        with contextlib.suppress(OSError, IndexError):
            spent = processor_seconds(running.pid)
        if "verdict" in told:
            answers.append(told)
    running.wait()
    found["gate_processor_seconds"] = spent
    found["computed"] = [each["computed"] for each in answers]
    found["latency"] = [each["latency"] for each in answers]
    found["opened"] = sum(each["verdict"] == "open" for each in answers)


def summary(found: dict[str, Any]) -> dict[str, Any]:
    """Return percentiles of what was measured, in milliseconds."""
    told: dict[str, Any] = {}
    for name, value in found.items():
        if isinstance(value, list) and value:
            low, high, last = np.percentile(np.array(value) * 1000, [50, 95, 99])
            told[name] = {
                "n": len(value), "p50": round(low, 1), "p95": round(high, 1),
                "p99": round(last, 1), "max": round(1000 * max(value), 1),
            }  # fmt: skip
        else:
            told[name] = value
    return told


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure in turns."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--phrases", type=int, default=40)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--port", type=int, default=18_500)
    parser.add_argument(
        "--no-browser", action="store_true", help="ten watchers alone: browsers are elsewhere"
    )
    chosen = parser.parse_args(arguments)
    whole: dict[bool, dict[str, list[float]]] = {False: {}, True: {}}
    with tempfile.TemporaryDirectory(prefix="kaimen-console-") as folder:
        config = school(Path(folder), chosen.phrases, chosen.port)
        for turn in range(2 * chosen.turns):
            watched, found = bool(turn % 2), {}
            found["watched"] = watched
            if watched:
                with console(config, chosen.port, found, browser=not chosen.no_browser):
                    gate(config, found)
            else:
                gate(config, found)
            print(json.dumps(summary(found)), flush=True)
            for name, value in found.items():
                if isinstance(value, list):
                    whole[watched].setdefault(name, []).extend(value)
    for watched, values in whole.items():
        print(json.dumps({"all turns": True, "watched": watched, **summary(values)}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
