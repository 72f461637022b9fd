"""The threads beside the gate's own, each begun under the supervisor."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from kaimen.access.growing import Growing
from kaimen.access.policy import AccessPolicy
from kaimen.audit import files_of, latest
from kaimen.calibration.calibration import Calibration
from kaimen.gate import card_reader, grower, watcher
from kaimen.gate.card_reader import CardReader
from kaimen.gate.grower import Grower
from kaimen.gate.supervisor import Supervisor
from kaimen.gate.watcher import Watcher
from kaimen.installation import Installation
from kaimen.monitoring import drift_watch
from kaimen.monitoring.drift_watch import DriftWatch
from kaimen.settings.roster import Rule


def watch(
    supervisor: Supervisor, policy: AccessPolicy, calibrated: Path, roster: tuple[Rule, ...]
) -> None:
    """Arm the policy by registry, calibration and roster, now and whenever they change."""
    watching = Watcher(policy, calibrated, supervisor.say, roster)
    supervisor.start("watcher", watching.run, patience=watcher.PATIENCE)


def drift_watch_of(
    installation: Installation, calibrated: Path, supervisor: Supervisor
) -> DriftWatch:
    """Return what counts whether strangers' scores keep the promise, in the log and from now on."""
    folder, key = installation.log_folder, installation.log_key
    return DriftWatch(
        lambda: latest(folder, key) if files_of(folder) else (),
        lambda: Calibration.load(calibrated, installation.vault).at_door(
            installation.settings.roster, installation.gallery
        ),
        calibrated,
        supervisor.say,
        stops=installation.settings.gate.stop_on_drift,
    )


def count_drift(supervisor: Supervisor, drift: DriftWatch) -> None:
    """Let the drift watch count."""
    supervisor.start("drift watch", drift.run, patience=drift_watch.PATIENCE)


def grow(supervisor: Supervisor, growing: Growing, installation: Installation) -> Grower:
    """Take in what the policy picks."""
    made = Grower(
        growing,
        installation.settings.gallery.file,
        installation.vault,
        installation.encoder.identity,
    )
    supervisor.start("grower", made.run, patience=grower.PATIENCE)
    return made


def read_cards(supervisor: Supervisor, claim: Callable[[str], None], path: Path, baud: int) -> None:
    """Let a card reader say who comes."""
    reading = CardReader(path, claim, supervisor.say, baud=baud)
    supervisor.start("card reader", reading.run, patience=card_reader.PATIENCE)
