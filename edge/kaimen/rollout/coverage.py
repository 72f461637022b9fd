"""Which models know the school: those of the slots and those that ship; others' points go."""

from __future__ import annotations

import glob
from pathlib import Path

from kaimen import voice
from kaimen.bundle.slots import Slots, SlotsState
from kaimen.calibration.calibration import calibration_path
from kaimen.calibration.school_scores import scores_path
from kaimen.enrollment.rehear import ModelIds, left_behind
from kaimen.errors import BundleError, UnfitBundle
from kaimen.gallery.index import index_path, index_paths
from kaimen.installation import Installation
from kaimen.settings.encoder import ENCODERS
from kaimen.voice.encoder import Card
from kaimen.voice.phrase import PhraseCard


def model_ids_of(slots: Slots, state: SlotsState, slot: str | None) -> ModelIds:
    """Return the identities of a slot's models, or of those that ship. Raises BundleError."""
    if slot is None:
        return _model_ids_beside(slots.shipped)
    manifest = slots.opened(slot, state, whole=False).manifest
    parts = {part.name: part.sha256 for part in manifest.parts}
    return ModelIds(parts[voice.SHIPPED.name], parts[voice.PHRASE.name])


def _model_ids_beside(encoder: Path) -> ModelIds:
    words = voice.model_path(encoder, voice.PHRASE)
    cards = encoder.with_suffix(".json"), words.with_suffix(".json")
    return ModelIds(Card.read(cards[0]).sha256, PhraseCard.read(cards[1]).sha256)


def lost(installation: Installation, before: SlotsState, after: SlotsState) -> dict[str, list[str]]:
    """Return who is known by what was active and not by what is, as ``left_behind``.

    Nobody, where what was active cannot be read any more.
    """
    if not installation.has_registry:
        return {}
    slots = installation.slots
    try:
        now = model_ids_of(slots, before, before.active)
        return left_behind(installation.registry, now, model_ids_of(slots, after, after.active))
    except BundleError:
        return {}


def forget(installation: Installation) -> None:
    """Forget what models made of the school that no slot holds any more, and that do not ship.

    What students were enrolled by stays, whichever it was. Raises GalleryError and StorageError.
    """
    slots, path = installation.slots, installation.settings.gallery.file
    state = slots.state()
    if not installation.has_registry:
        return
    try:
        ids = [_model_ids_beside(encoder) for encoder in ENCODERS.values()]
        ids += [model_ids_of(slots, state, slot) for slot in state.held]
    except BundleError:
        return  # of a damaged one nothing is known; the next installation clears it away
    registry = installation.registry
    registry.points.forget({model for each in ids for model in (each.encoder, each.said_by)})
    spaces = {registry.recordings.space(each.encoder) for each in ids} | {""}
    kept = {index_path(path, space) for space in spaces}
    kept |= {calibration_path(path, identity) for identity in ("", *state.held.values())}
    calibrations = (path.parent / "bundles").glob(f"{glob.escape(path.stem)}.*.calibration.json")
    for file in {*index_paths(path), *calibrations} - kept:
        file.unlink(missing_ok=True)
        if file.name.endswith(".calibration.json"):
            scores_path(file).unlink(missing_ok=True)


def require_nobody_lost(lost: dict[str, list[str]]) -> None:
    """Require that everybody who is known stays so. Raises UnfitBundle with what to do."""
    if lost:
        raise UnfitBundle(
            f"{len(lost)} students would have to be enrolled again for this bundle (--json names "
            "them); give their recordings with --from, or go on with --without-them"
        )
