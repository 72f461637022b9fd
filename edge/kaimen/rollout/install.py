"""The way of a bundle into a gate: verified, tried out, taught the school, then on trial."""

from __future__ import annotations

import argparse
import datetime
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from kaimen.bundle.bundle import Bundle, Manifest
from kaimen.bundle.selftest import require_passed
from kaimen.bundle.slots import Slots
from kaimen.bundle.trial import Trial
from kaimen.calibration.calibration import FPIR, Calibration, calibration_path
from kaimen.calibration.learning import calibrate
from kaimen.calibration.phrase_threshold import with_words
from kaimen.enrollment.entries import entries_in
from kaimen.enrollment.rehear import ModelIds, Rehearing, left_behind
from kaimen.enrollment.workers import workers_for
from kaimen.errors import BundleError, GalleryError, SettingsError, UnfitBundle
from kaimen.gallery.gallery import Gallery
from kaimen.installation import Installation
from kaimen.rollout.coverage import forget, model_ids_of, require_nobody_lost
from kaimen.screen import Screen
from kaimen.terminal import BAD, styled
from kaimen.voice.models import Models


def install(arguments: argparse.Namespace, installation: Installation, screen: Screen) -> None:
    """Bring a bundle into the idle slot; whatever refuses it leaves what is active as it is.

    Raises BundleError of every kind, GalleryError, SettingsError and StorageError.
    """
    settings = installation.settings
    if settings.encoder.path:
        raise SettingsError(
            "[encoder] path names the encoder of this gate; take it out of the settings, so that "
            "a bundle's can be used"
        )
    if arguments.fpir is not None and not 0 < arguments.fpir < 1:
        raise SettingsError("--fpir must be between 0 and 1, for example 0.01")
    if arguments.trial is not None and arguments.trial < 0:
        raise SettingsError("--trial must be a number of decisions, or 0 for none")
    slots = installation.slots
    bundle = Bundle.open(arguments.file, slots.trusted)
    manifest = bundle.manifest
    manifest.require_program(bundle.path)
    slots.refuse_older(bundle)
    for _ in screen.progress(bundle.parts(), "verifying", len(manifest.parts)):
        pass
    runtime = settings.encoder.runtime or None
    with slots.incoming(bundle) as folder:
        models = require_passed(folder, runtime)
        screen.say("the self-test is passed")
        known, lost = _teach(models, manifest, arguments, installation, screen)
        active = slots.state().identity == manifest.identity
        trial = manifest.policy.trial if arguments.trial is None else arguments.trial
        if active or not known:  # what decides already, or knows nobody whom it could let in
            trial = 0
        whole = active and _is_whole(slots)
        slot = None if whole else slots.take(folder, manifest.identity)
    if slot is not None and trial:
        began = datetime.datetime.now(datetime.UTC).isoformat()
        listens = Trial(slot, trial, trial, began, without=len(lost))
        slots.change(lambda state: replace(state, trial=listens, said=""))
    elif slot is not None:
        slots.change(lambda state: state.switched(slot, manifest.version))
    forget(installation)
    screen.result(
        {
            "name": manifest.name,
            "version": manifest.version,
            "identity": manifest.identity,
            "active": not trial,
            "trial": trial,
            "students": known,
            "again": lost,
        },
        _told(manifest, trial, known),
    )


def _is_whole(slots: Slots) -> bool:
    """Return whether the active bundle is as it was installed. Otherwise it is installed again."""
    try:
        slots.encoder()
    except BundleError:
        return False
    return True


def _told(manifest: Manifest, trial: int, known: int) -> str:
    name = f"{manifest.name}, version {manifest.version},"
    if trial:
        return (
            f"{name} knows {known} students and listens along for {trial} decisions of the gate; "
            "see 'kaimen bundle inspect'"
        )
    return f"{name} is active and knows {known} students; a running gate takes it up by itself"


def _teach(
    models: Models,
    manifest: Manifest,
    arguments: argparse.Namespace,
    installation: Installation,
    screen: Screen,
) -> tuple[int, dict[str, list[str]]]:
    """Make the school known to new models, beside the old ones; how many, and who is not.

    Raises UnfitBundle where somebody would be lost who need not be, or no door be armed.
    """
    if not installation.has_registry:
        return 0, {}
    encoder, slots = models.encoder, installation.slots
    state = slots.state()
    then = ModelIds(encoder.identity, models.said_by)
    active = state.identity == manifest.identity  # damaged, perhaps: then this one repairs it
    now = then if active else model_ids_of(slots, state, state.active)
    if arguments.place is not None:
        _hear_again(Rehearing(installation.registry, then), arguments.place, models, screen)
    lost = left_behind(installation.registry, now, then)
    if lost and not arguments.without_them:
        screen.result({"again": lost})
        require_nobody_lost(lost)
    path, vault = installation.school.registry, installation.vault
    with closing(Gallery.open(path, vault, encoder.identity, encoder.card.dimension)) as gallery:
        if len(gallery):
            gallery.save(screen.progress)
            _calibrate(gallery, models, manifest, arguments.fpir, installation, screen)
        return len(gallery), lost


def _hear_again(again: Rehearing, place: Path, models: Models, screen: Screen) -> None:
    files = [file for entry in entries_in(place) for file in entry.files]
    again.find(screen.progress(files, "looking for the school's recordings", len(files)))
    if not len(again):
        return
    work = workers_for(models.encoder, len(again))
    for heard in screen.progress(again.hear(work), "hearing the school again", len(again)):
        for refusal in heard.refused:
            screen.result({"student": heard.student, "path": refusal.path, "error": refusal.reason})
            screen.say(styled(BAD, f" {refusal.path}: {refusal.reason}"))


def _calibrate(
    gallery: Gallery,
    models: Models,
    manifest: Manifest,
    fpir: float | None,
    installation: Installation,
    screen: Screen,
) -> None:
    """Learn the new models' thresholds. Raises UnfitBundle if they would disarm the door."""
    try:
        before = Calibration.load(installation.arming.path, installation.vault)
    except GalleryError:
        before = None
    aimed = fpir or manifest.policy.fpir or (before.fpir if before else FPIR)
    card, roster = models.encoder.card, installation.settings.roster
    learned = calibrate(gallery, card, aimed, screen.progress, roster=roster)
    assert models.phrase is not None
    learned = with_words(learned, gallery.registry, models.phrase)
    try:
        learned.require(gallery)
    except GalleryError as error:
        if before is not None:
            raise UnfitBundle(
                f"with this bundle the door could not be armed: {error} (here: --fpir)"
            ) from None
        screen.say(str(error))
    path = calibration_path(installation.settings.gallery.file, manifest.identity)
    learned.save(path, installation.vault)
