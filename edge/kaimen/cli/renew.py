"""``kaimen renew``: a new key and new voiceprints out of the old, without new recordings."""

from __future__ import annotations

import argparse

from kaimen.installation import Installation
from kaimen.local_time import local
from kaimen.privacy.certificate import public_key
from kaimen.privacy.erasing import go_on
from kaimen.privacy.renewing import renew
from kaimen.screen import Screen
from kaimen.settings import Settings
from kaimen.terminal import GOOD, WARNING, styled

EXAMPLE = """example:
  kaimen renew                  (first: sudo systemctl stop kaimen-gate)

Everything sealed is sealed under a new key, and every voiceprint lies elsewhere: a key or a gallery
that was stolen is of no use any more at this gate. Nobody is recorded again, and thresholds stay
what they are. All of it happens or nothing; after a power cut the next command goes on."""


def add(parser: argparse.ArgumentParser) -> None:
    """No options."""


def run(arguments: argparse.Namespace, screen: Screen) -> int:
    """Renew, and make the index anew."""
    settings = Settings.read(arguments.config)
    with Installation.open(settings, screen) as before:
        go_on(before)
        school = before.school
    renewed = renew(school, screen.progress)
    with Installation.open(settings, screen) as installation:
        installation.gallery_or_new.save(screen.progress)
        why_not, backups = installation.arming.disarmed, installation.registry.erasures.backups()
        installation.tell_log()
        screen.result(
            {
                "renewed": renewed.students,
                "key": renewed.key,
                "public_key": public_key(installation.vault),
                "old_backups": [each.place for each in backups],
            },
            styled(GOOD, f" {renewed.students} students have a new key ({renewed.key})"),
        )
    if why_not:
        screen.say(f"the door is not armed: {why_not}")
    for folder in school.kept:
        screen.note(f"{folder}: a school of before a restore, under its own key; delete it")
    for each in backups:
        said = f" the backup of {local(each.at)} at {each.place} holds the old key, sealed"
        screen.say(styled(WARNING, said))
    screen.say(
        "take a new backup, destroy the old ones, copy the new key to where you keep it, and "
        "publish what 'kaimen erase --public-key' prints now"
    )
    return 0
