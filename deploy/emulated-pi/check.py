"""Boots the emulated Pi and shows that its door opens for whom it should, and for how long.

    python deploy/emulated-pi/check.py                                    all of it
    python deploy/emulated-pi/check.py --suite trixie                     of Debian 13
    python deploy/emulated-pi/check.py --phrases 3 --kills 4 --starts 5   a short form
    python deploy/emulated-pi/check.py --suite trixie --own-clock         only who is let in
    PATIENCE=5 python deploy/emulated-pi/check.py                         on a busy machine

Kaimen's service runs as on any Pi; phrases are played into its microphone, and its relay's pin is
read from outside. The exit code is 1 if anything was not as it should be.

QEMU executes instructions more slowly than a Pi, so sound is dropped. With --own-clock the Pi's
time goes by its instructions, and it keeps up. No seconds are judged then: they are measured here,
by another clock. So nothing is killed, and the door is not started again and again. It boots from
the card of installed.sh, which has the package and the class already.
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
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pi import CARD, Pi, PiError, Watch
from playing import (
    LEASE,
    PLAY,
    SETTLING,
    TOLERANCE,
    TRIES,
    dropped,
    objects_in,
    play_all,
    wait_until_it_listens,
)  # fmt: skip
from report import Report
from starts import start_often

TREE = Path(__file__).parents[2]
FOLDER = TREE / "build" / "emulated-pi"
PIN = 17
SELDOM = 0.05  # seconds between readings of a pin that is on for a lease at least
LARGEST = 250_000  # kilobytes, installed
ALIKE = 0.999  # cosine of the same recording's points, there and here
KINDS = ("student", "stranger", "noise", "other")

INSTALLED = "installed.img"  # the card with the package on it
PACKAGE = "/root/kaimen.deb"
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
    if not (options.folder / CARD).exists():
        raise SystemExit(f"no {options.folder / CARD}: deploy/emulated-pi/build.sh {options.suite}")
    random.seed(options.seed)
    if options.own_clock:
        play_in_own_clock(options, report)
    else:
        do_all(options, report)
    report.found["seconds"] = time.monotonic() - report.began
    report.found["wrong"] = report.wrong
    name = "report-own-clock.json" if options.own_clock else "report.json"
    (options.folder / name).write_text(json.dumps(report.found, indent=1))
    report.say(
        f"{len(report.wrong)} not as it should be" if report.wrong else "all as it should be"
    )
    return 1 if report.wrong else 0


def do_all(options: argparse.Namespace, report: Report) -> None:
    """Everything, by the clock of this machine."""
    report.say(f"booting {options.folder}; random seed {options.seed}")
    with Pi(options.folder) as pi, Watch(pi, PIN) as watch:
        booted(pi, report)
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


def play_in_own_clock(options: argparse.Namespace, report: Report) -> None:
    """Who is let in by a Pi whose processor keeps up with its sound card."""
    card, installed = options.folder / CARD, options.folder / INSTALLED
    if not installed.exists() or installed.stat().st_mtime < card.stat().st_mtime:
        raise SystemExit(f"no {installed} of this card: deploy/emulated-pi/installed.sh")
    report.say(f"booting {installed}; the Pi's clock is its own")
    with (
        ThreadPoolExecutor(1) as pool,
        Pi(options.folder, card=INSTALLED, own_clock=True) as pi,
        Watch(pi, PIN, every=SELDOM) as watch,
    ):
        asked = pool.submit(opened_here, options.folder)  # while the Pi takes its time
        booted(pi, report)
        wait_until_it_listens(pi, report)
        before, opened = dropped(pi), asked.result()
        for kind in KINDS:
            play_all(pi, watch, report, kind, opened[kind][: options.phrases])
            times = dropped(pi) - before
            report.check(times == 0, f"sound was dropped {times} times until now")
        report.found["dropped"] = times
        report.found["uptime"] = pi.now()
        report.say(f"{pi.now():.0f} s passed there; how long the pin was on is not judged")


def booted(pi: Pi, report: Report) -> None:
    """Say what came up."""
    report.found["booted"] = pi.booted
    report.say(f"up after {pi.booted:.0f} s: {pi.run('uname -srm').strip()}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--suite", default="bookworm", help="which Debian build.sh made")
    parser.add_argument("--phrases", type=int, default=10, help="of each kind, at most 10")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--starts", type=int, default=100, help="of the door, for each polarity")
    parser.add_argument("--own-clock", action="store_true", help="no seconds are judged then")
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
    findings = [each for each in objects_in(said) if "state" in each]
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
    last = objects_in(said)[-1]
    said = pi.run("kaimen calibrate --json", 300)
    threshold = objects_in(said)[-1]["threshold"]
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
                objects_in(here("listen", *asked, str(file), "--json", fine=(0, 1, 3)))
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


if __name__ == "__main__":
    sys.exit(main())
