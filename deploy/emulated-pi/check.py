"""Boots the emulated Pi and shows that its door opens for whom it should, and for how long.

    python deploy/emulated-pi/check.py                                    all of it
    python deploy/emulated-pi/check.py --suite trixie                     of Debian 13
    python deploy/emulated-pi/check.py --phrases 3 --kills 4 --starts 5   a short form
    PATIENCE=5 python deploy/emulated-pi/check.py                         on a busy machine

Kaimen's service runs as on any Pi; phrases are played into its microphone, and its relay's pin is
read from outside. The exit code is 1 if anything was not as it should be.
"""

from __future__ import annotations

import argparse
import base64
import io
import json
import platform
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pi import PATIENCE, Pi, PiError, Watch
from report import Report
from starts import start_often

TREE = Path(__file__).parents[2]
FOLDER = TREE / "build" / "emulated-pi"
PIN = 17
LEASE = 3.0  # seconds, as in kaimen.toml beside this
LARGEST = 250_000  # kilobytes, installed
TOLERANCE = 0.1  # seconds
ALIKE = 0.999  # cosine of the same recording's points, there and here
STARTING = 240.0 * PATIENCE  # seconds until the service listens
SETTLING = 20.0 * PATIENCE  # seconds after a phrase in which it is answered: the emulator is slow
MORE = 4.0 * PATIENCE  # seconds after an answer in which there may be another
KINDS = ("student", "stranger", "noise", "other")
NOBODY = ("stranger", "noise")  # who may not get in whatever a gate here says

PACKAGE = "/root/kaimen.deb"
PLAY = "aplay -q -D plughw:Loopback,0,0"
# Both are up and the microphone is open; a gate whose door was killed ends, and begins anew.
LISTENING = (
    "systemctl is-active -q kaimen-door && systemctl is-active -q kaimen-gate"
    " && grep -q RUNNING /proc/asound/Loopback/pcm1c/sub0/status"
)
STEADY = 4.0  # seconds for which it must be so
TRIES = 3  # at a phrase that is heard in pieces: the emulated card drops sound now and then
JOURNAL = "journalctl -q -u kaimen-gate -o cat --cursor-file=/run/answered"
VICTIMS = ("kaimen-gate", "kaimen-door", "kaimen-gate kaimen-door")
# Prints the processes that it killed; one that is just being started again has no number yet.
KILL = (
    "for unit in {}; do p=$(systemctl show -P MainPID $unit); "
    "[ $p = 0 ] || {{ kill -9 $p && echo $p; }}; done"
)


def main() -> int:
    """Everything in turn."""
    options = _options()
    report = Report()
    random.seed(options.seed)
    report.say(f"booting {options.folder}; random seed {options.seed}")
    with Pi(options.folder) as pi, Watch(pi, PIN) as watch:
        report.found["booted"] = pi.booted
        report.say(f"up after {pi.booted:.0f} s: {pi.run('uname -srm').strip()}")
        show_board(pi, report)
        began = install(pi, report)
        enroll(pi, report)
        wait_until_it_listens(pi, report)
        play_first(pi, watch, report, began)
        compare_points(pi, report, options.phrases)
        ask_doctor(pi, report)
        opened = opened_here(options.folder)
        for kind in KINDS:
            play_all(pi, watch, report, kind, opened[kind][: options.phrases])
        kill_all(pi, watch, report, options.kills, opened["student"])
        pulses = watch.since(0)
        report.found["pulses"] = [pulse.seconds for pulse in pulses]
        report.found["readings"] = watch.readings
        report.found["longest_gap"] = watch.longest_gap
        report.say(f"{watch.readings} readings, {watch.longest_gap * 1000:.0f} ms apart at most")
        start_often(pi, report, PIN, options.starts)
    report.found["seconds"] = time.monotonic() - report.began
    report.found["wrong"] = report.wrong
    (options.folder / "report.json").write_text(json.dumps(report.found, indent=1))
    report.say(
        f"{len(report.wrong)} not as it should be" if report.wrong else "all as it should be"
    )
    return 1 if report.wrong else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--suite", default="bookworm", help="which Debian build.sh made")
    parser.add_argument("--phrases", type=int, default=10, help="of each kind, at most 10")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--starts", type=int, default=100, help="of the door, for each polarity")
    parser.add_argument("--seed", type=int, default=random.randrange(10_000))
    options = parser.parse_args()
    options.folder = FOLDER / options.suite
    return options


def show_board(pi: Pi, report: Report) -> None:
    """The pins and the sound card are those of a Pi with a loopback, and no mock."""
    model = pi.run("tr -d '\\0' </proc/device-tree/model").strip()
    chip = pi.run("cat /sys/bus/gpio/devices/gpiochip0/of_node/compatible | tr '\\0' ' '").strip()
    report.check("Raspberry Pi" in model and "bcm283" in chip, f"{model}, pins: {chip}")
    # The module may come a moment after the login.
    waited = "for n in $(seq 60); do [ -e /proc/asound/cards ] && break; sleep 1; done"
    cards = pi.run(f"{waited}; modprobe snd-aloop; cat /proc/asound/cards || true")
    report.check("Loopback" in cards, "ALSA has the loopback")


def install(pi: Pi, report: Report) -> float:
    """The package, by Debian's own installer; when that began."""
    report.check(
        not pi.run("for each in gcc cc g++ make pip3; do command -v $each; done; true").strip()
        and not pi.run("ip -o link show up 2>/dev/null | grep -v LOOPBACK || true").strip(),
        "neither a compiler nor pip nor a network",
    )
    began = time.monotonic()
    pi.run(f"dpkg -i {PACKAGE}", 900)
    size = pi.run("dpkg-query -W -f '${Installed-Size}' kaimen")
    enabled = pi.run("systemctl is-enabled kaimen-rest kaimen-door kaimen-gate").split()
    seconds = time.monotonic() - began
    report.found["installed"] = {"seconds": seconds, "kilobytes": int(size)}
    report.check(
        enabled == ["enabled"] * 3 and int(size) <= LARGEST,
        f"installed in {seconds:.0f} s, {int(size) / 1000:.0f} MB, its units {enabled}",
    )
    # Said in the package's place by 'kaimen setup': the loopback is the microphone here.
    pi.run("cp /opt/phrases/kaimen.toml /etc/kaimen/kaimen.toml")
    pi.run("systemctl restart kaimen-rest kaimen-door kaimen-gate", 300)
    return began


def play_first(pi: Pi, watch: Watch, report: Report, began: float) -> None:
    """The first phrase of an enrolled student after the package came."""
    pi.run(f"{PLAY} /opt/phrases/student/01.wav")
    opened = watch.wait_until(True, SETTLING)
    seconds = time.monotonic() - began
    report.found["first_opening"] = seconds
    report.check(opened, f"the door opened {seconds:.0f} s after the package came")
    watch.wait_until(False, LEASE + SETTLING)


def ask_doctor(pi: Pi, report: Report) -> None:
    """What 'kaimen doctor' finds; nothing of it is broken."""
    code, said = pi.attempt("kaimen doctor --json", 300)
    findings = [each for each in _objects(said) if "state" in each]
    report.found["doctor"] = findings
    for each in findings:
        if each["state"] != "ok":
            report.say(f"   {json.dumps(each, ensure_ascii=False)}")
    broken = [each["name"] for each in findings if each["state"] == "broken"]
    report.check(
        bool(findings) and not broken and code == 0,
        f"doctor: {len(findings)} findings, broken: {', '.join(broken) or 'none'}",
    )


def enroll(pi: Pi, report: Report) -> None:
    """The class of the card, and the threshold that is learned from it."""
    began = time.monotonic()
    # A recording may be refused, which the exit code tells.
    said = pi.run("kaimen enroll --from /opt/phrases/enrolled --json || [ $? = 3 ]", 900)
    last = _objects(said)[-1]
    said = pi.run("kaimen calibrate --json", 300)
    threshold = _objects(said)[-1]["threshold"]
    report.found["enrolled"] = {**last, "threshold": threshold}
    report.say(
        f"{last['students']} students, {last['recordings']} recordings enrolled there in "
        f"{time.monotonic() - began:.0f} s; threshold {threshold:.3f}"
    )


def compare_points(pi: Pi, report: Report, phrases: int) -> None:
    """Require that the same recordings give the same points there and here."""
    files = [f"opt/phrases/{kind}/{number:02}.wav" for kind in ("student", "stranger")
             for number in range(1, phrases + 1)]  # fmt: skip
    began = time.monotonic()
    pi.run(f"cd / && kaimen embed {' '.join(files)} --out /tmp/points.npz", 300)
    report.say(f"{len(files)} recordings embedded there in {time.monotonic() - began:.0f} s")
    there = _points(base64.b64decode(pi.run("base64 /tmp/points.npz")))
    with tempfile.TemporaryDirectory() as place:
        points = Path(place) / "points.npz"
        root = pi.folder.resolve() / "root"
        recordings = [str(root / each) for each in files]
        here(
            "embed",
            *recordings,
            "--out",
            str(points),
            "--config",
            str(Path(__file__).parent / "kaimen.toml"),
        )
        ours = _points(points.read_bytes())
    cosines = np.sum(there * ours, axis=1)
    report.found["cosines"] = cosines.tolist()
    report.check(
        len(there) == len(files) and float(cosines.min()) >= ALIKE,
        f"{len(there)} points as here on {platform.machine()}: cosine {cosines.min():.6f} or more",
    )


def _points(file: bytes) -> NDArray[np.float32]:
    with np.load(io.BytesIO(file)) as arrays:
        points: NDArray[np.float32] = arrays["vectors"]
    return points


def opened_here(folder: Path) -> dict[str, list[bool]]:
    """Return whether a gate here, of the same settings and school, opens: by kind, in order."""
    phrases = folder.resolve() / "root" / "opt" / "phrases"
    opened = {}
    with tempfile.TemporaryDirectory() as place:
        settings = Path(place) / "kaimen.toml"
        text = (Path(__file__).parent / "kaimen.toml").read_text(encoding="utf-8")
        text = text.replace("/var/lib/kaimen/", f"{place}/").replace("/etc/kaimen/", f"{place}/")
        settings.write_text(text.replace("[door]\n", "[door]\nmock = true\n"), encoding="utf-8")
        asked = ("--config", str(settings))
        here("enroll", *asked, "--from", str(phrases / "enrolled"), fine=(0, 3))
        here("calibrate", *asked)
        for kind in KINDS:
            answers = [
                _objects(here("listen", *asked, str(file), "--json", fine=(0, 1, 3)))
                for file in sorted((phrases / kind).glob("*.wav"))
            ]
            opened[kind] = [any(each.get("verdict") == "open" for each in own) for own in answers]
    return opened


def here(command: str, *arguments: str, fine: tuple[int, ...] = (0,)) -> str:
    """What `kaimen` says on this machine, of the tree that the package was built from."""
    done = subprocess.run(
        [sys.executable, "-m", "kaimen.cli.main", command, *arguments],
        cwd=TREE, capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode not in fine:
        raise PiError(f"kaimen {command} here: {done.stderr.strip()}")
    return done.stdout


def wait_until_it_listens(pi: Pi, report: Report) -> None:
    """The services are up, and the microphone is open."""
    began = since = time.monotonic()
    while time.monotonic() - since < STEADY:
        if pi.attempt(LISTENING)[0]:
            since = time.monotonic()
        if time.monotonic() - began > STARTING:
            raise PiError("the service does not listen:\n" + pi.run(f"{JOURNAL} | tail -n 20"))
        time.sleep(0.5)
    report.say(f"the service listens, {since - began:.0f} s later")


def play_all(pi: Pi, watch: Watch, report: Report, kind: str, wanted: Sequence[bool]) -> None:
    """Phrases of one kind, one after the other, and whether the pin went on where it should."""
    heard = 0
    opened, visits = [], []
    pi.run(JOURNAL)  # what was said before is not asked for again
    for number in range(1, len(wanted) + 1):
        began = time.monotonic()
        for _ in range(TRIES):
            pi.run(f"{PLAY} /opt/phrases/{kind}/{number:02}.wav")
            ended = time.monotonic()
            answers = answered(pi)
            if kind == "noise" or len(answers) == 1 or watch.since(began):
                break
        if not watch.wait_until(False, LEASE + SETTLING):
            report.check(False, f"{kind} {number}: the pin is off again")
        pulses = watch.since(began)
        # A phrase that was heard as two opens twice, and the second begins a new lease.
        most = LEASE * max(1, sum(each["verdict"] == "open" for each in answers)) + TOLERANCE
        if any(pulse.seconds > most for pulse in pulses):
            report.check(False, f"{kind} {number}: on no longer than its lease")
        opened.append(bool(pulses))
        heard += bool(answers)
        visits.append({
            "answers": [[each.get("verdict"), each.get("score")] for each in answers],
            "after": pulses[0].began - ended if pulses else None,
            "on": [pulse.seconds for pulse in pulses],
        })  # fmt: skip
        report.say(f"   {kind} {number}: {json.dumps(visits[-1])}")
    report.found[kind] = visits
    # Nobody is turned away by a gate that did not listen.
    listened = heard == len(wanted) or kind == "noise"
    alike = sum(there == ours for there, ours in zip(opened, wanted, strict=True))
    report.check(
        alike == len(wanted) and listened and not (kind in NOBODY and any(opened)),
        f"{kind}: {sum(opened)} of {len(wanted)} opened, {alike} as here; {heard} were heard "
        "as a phrase",
    )


def answered(pi: Pi) -> list[dict[str, Any]]:
    """What the service decided since it was last asked, once it has, and has no more to say."""
    answers: list[dict[str, Any]] = []
    until = time.monotonic() + SETTLING
    while time.monotonic() < until:
        more = [each for each in _objects(pi.run(JOURNAL)) if "verdict" in each]
        if more:
            answers += more
            until = time.monotonic() + MORE
        time.sleep(0.5)
    return answers


def kill_all(pi: Pi, watch: Watch, report: Report, kills: int, opened: Sequence[bool]) -> None:
    """Kill at random moments, every second time while the relay is on.

    ``opened``: which students' phrases open.
    """
    found = []
    opening = [number for number, opens in enumerate(opened, start=1) if opens]
    for number in range(kills):
        while_on = number % 2 == 1
        victim = VICTIMS[number // 2 % len(VICTIMS)]
        if while_on:
            wait_until_it_listens(pi, report)
            phrase = f"/opt/phrases/student/{opening[number % len(opening)]:02}.wav"
            for _ in range(TRIES):
                pi.run(f"({PLAY} {phrase} >/dev/null &)")
                if watch.wait_until(True, 30):
                    break
            else:
                report.check(False, f"kill {number + 1}: the relay went on beforehand")
            time.sleep(random.uniform(0, 0.8 * LEASE))
        else:
            time.sleep(random.uniform(0, 30))
        was_on = watch.is_on
        began = time.monotonic()
        killed = pi.run(KILL.format(victim)).split()
        watch.wait_until(False, LEASE + SETTLING)
        pulse = next(iter(watch.since(began)), None)
        found.append(
            {
                "victim": victim,
                "processes": len(killed),
                "on": was_on,
                "pulse": pulse and pulse.seconds,
                "after": pulse and pulse.ended and pulse.ended - began,
            }
        )
        report.say(f"   kill {number + 1}: {json.dumps(found[-1])}")
        if was_on != while_on and while_on:
            report.check(False, f"kill {number + 1} came while the relay was on")
    report.found["kills"] = found
    on = sum(each["on"] for each in found)
    worst = max((each["pulse"] or 0 for each in found), default=0.0)
    report.check(
        worst <= LEASE + TOLERANCE and not watch.is_on,
        f"{kills} kills, {on} of them while the relay was on: never on longer than {worst:.3f} s",
    )


def _objects(text: str) -> list[dict[str, Any]]:
    """The JSON objects among the lines; systemd's own lines are left out."""
    found = []
    for line in text.splitlines():
        if line.startswith("{"):
            found.append(json.loads(line))
    return found


if __name__ == "__main__":
    sys.exit(main())
