"""The machine: its clock, its disk, its power."""

from __future__ import annotations

import datetime
import os
from collections.abc import Iterator
from pathlib import Path

import kaimen
from kaimen.clock import local_now
from kaimen.doctor.finding import Finding, Health, Patient, attention, broken, ok

LEAST = 32 << 20  # bytes: with less, nobody can be enrolled
ENOUGH = 1 << 30  # bytes: the log may grow to a gigabyte
WORN = 0x09  # of eleven steps of an eMMC's life: 80 to 90 % of it are gone
GONE = 0x0B  # all of it

# Of vcgencmd get_throttled, now and, 16 bits above, since the start.
UNDERVOLTAGE, CAPPED, THROTTLED, HOT = 0x1, 0x2, 0x4, 0x8
SINCE = 16


def clock(patient: Patient) -> Iterator[Finding]:
    """Tell whether the date can be believed: consents and the roster go by it."""
    now = local_now()
    installed = datetime.datetime.fromtimestamp(Path(kaimen.__file__).stat().st_mtime)
    said = f"{now:%Y-%m-%d %H:%M}"
    if now < installed:
        yield broken(
            "clock",
            f"{said} is before Kaimen was installed ({installed:%Y-%m-%d})",
            "set it with 'sudo date -s ...', and add a real-time clock",
        )
        return
    synchronised = (patient.root / "run/systemd/timesync/synchronized").exists() or (
        patient.call("timedatectl", "show", "--property=NTPSynchronized", "--value") == "yes"
    )
    kept = ["set by the network"] if synchronised else []
    if (patient.root / "dev/rtc0").exists():
        kept.append("kept by a real-time clock")
    if kept:
        yield ok("clock", f"{said}, {' and '.join(kept)}")
        return
    yield attention(
        "clock",
        f"{said}, and neither a network nor a real-time clock says so: "
        "after a power cut consents and the roster go by a wrong day",
        "add a real-time clock (dtoverlay=i2c-rtc), or let the Pi reach a time server",
    )


def disk(patient: Patient) -> Iterator[Finding]:
    """Room, whether it can be written, errors of the file system, and wear."""
    folder = patient.settings.gallery.file.parent
    there = next(each for each in (folder, *folder.absolute().parents) if each.exists())
    status = os.statvfs(there)
    free = status.f_bavail * status.f_frsize
    said = f"{free / (1 << 20):,.0f} MB free for {folder}"
    more = "make room: old logs, recordings, 'sudo apt-get clean'"
    if status.f_flag & os.ST_RDONLY:
        yield broken(
            "disk", f"{there} is read-only", "see 'dmesg' for why, then mount it for writing"
        )
    elif free < LEAST:
        yield broken("disk", said, more, free=float(free))
    elif free < ENOUGH:
        yield attention("disk", f"{said}; the log may grow to 1024 MB", more, free=float(free))
    else:
        yield ok("disk", said, free=float(free))
    yield _wear(patient)


def _wear(patient: Patient) -> Finding:
    copy = "copy the gallery and its key, and replace the card"
    for path in sorted(patient.root.glob("sys/fs/ext4/*/errors_count")):
        errors = int(patient.text(str(path.relative_to(patient.root))) or 0)
        if errors:
            return broken("card", f"{errors} errors of the file system {path.parent.name}", copy)
    for path in sorted(patient.root.glob("sys/block/mmcblk*/device/life_time")):
        steps = [int(each, 16) for each in path.read_text().split()]
        worst = max(steps, default=0)
        if worst:
            said = f"{path.parts[-3]}: {(worst - 1) * 10} % of its life are used"
            if worst >= WORN:
                state = Health.BROKEN if worst >= GONE else Health.ATTENTION
                return Finding("card", state, said, copy, {"life_used": (worst - 1) / 10})
            return ok("card", said, life_used=(worst - 1) / 10)
    return ok("card", "no errors; it does not tell its wear")


def power(patient: Patient) -> Iterator[Finding]:
    """Yield the Pi's own record of undervoltage, heat and throttling."""
    if not patient.is_pi:
        yield ok("power", "not a Pi")
        return
    bits = _throttled(patient)
    if bits is None:
        yield attention(
            "power",
            "the firmware does not tell",
            "sudo apt-get install raspi-utils, for its vcgencmd",
        )
        return
    now, since = bits & 0xF, bits >> SINCE & 0xF
    supply = "use the Pi's own power supply and a short cable; a relay wants one of its own"
    cool = "give it a heat sink or a fan"
    if now & UNDERVOLTAGE:
        yield broken("power", f"undervoltage right now ({bits:#x})", supply)
    elif since & UNDERVOLTAGE:
        yield attention("power", f"undervoltage since the start ({bits:#x})", supply)
    elif now & (CAPPED | THROTTLED | HOT):
        yield attention("power", f"too hot, and slowed down, right now ({bits:#x})", cool)
    elif since:
        yield attention("power", f"too hot, and slowed down, since the start ({bits:#x})", cool)
    else:
        yield ok("power", "no undervoltage and no throttling since the start")


def _throttled(patient: Patient) -> int | None:
    """Return the bits, from the kernel or from the firmware's own program."""
    kernel = sorted(patient.root.glob("sys/devices/platform/soc*/**/get_throttled"))
    said = patient.text(str(kernel[0].relative_to(patient.root))) if kernel else None
    said = said or (patient.call("vcgencmd", "get_throttled") or "").partition("=")[2]
    try:
        return int(said, 16)
    except ValueError:
        return None
