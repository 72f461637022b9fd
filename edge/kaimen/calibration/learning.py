"""Learn a school's threshold from its own recordings.

FPIR = 1 - (1 - FMR)^N: a threshold belongs to a gallery size (ISO/IEC 19795-1), so it is
measured at the school's own, by leaving one out. What was never seen in n trials may still
happen in 3/n of them (the rule of three, 95 %): no school is promised more than that.

Evidence adds up: each recording is a stranger to the other students, and each N comparisons on
the encoder's card are what one stranger to N students is. What the school itself shows, and what
is known from other people alone, is always said apart.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from kaimen.calibration.calibration import FPIR, Calibration
from kaimen.calibration.door_strangers import DoorStrangers
from kaimen.calibration.leave_one_out import LeftOut, leave_one_out, leave_two_out
from kaimen.calibration.roster_calibration import RosterSets, calibrate_roster
from kaimen.calibration.school_scores import SchoolScores
from kaimen.calibration.thresholds import (
    FIRST_TRY,
    claim_threshold_of,
    forecast_of,
    interval_of,
    missed,
    pooled_threshold_of,
    share,
    shown_by,
    threshold_of,
    trade_of,
)
from kaimen.errors import GalleryError
from kaimen.gallery.gallery import Gallery
from kaimen.gallery.growth import GrownPoints
from kaimen.progress import Track
from kaimen.settings.roster import Rule
from kaimen.voice.encoder import Card
from kaimen.voice.score import RULE


def calibrate(
    gallery: Gallery,
    card: Card,
    fpir: float = FPIR,
    track: Track | None = None,
    *,
    roster: Iterable[Rule] = (),
) -> Calibration:
    """Learn the threshold for at most ``fpir`` of strangers. Raises GalleryError if empty.

    With a ``roster``, that of those who may enter by it, too.
    """
    return calibrate_gallery(gallery, card, fpir, track, roster=roster)[0]


def calibrate_gallery(
    gallery: Gallery,
    card: Card,
    fpir: float = FPIR,
    track: Track | None = None,
    *,
    roster: Iterable[Rule] = (),
    heard: DoorStrangers | None = None,
) -> tuple[Calibration, SchoolScores]:
    """Return the same, with the scores that it was learned from.

    ``heard`` are strangers' scores at the door, which may raise the threshold.
    """
    if not len(gallery):
        raise GalleryError("nobody is enrolled; begin with 'kaimen enroll'")
    points, counts = gallery.everything()
    grown = gallery.grown_of_all()
    members = gallery.members
    sets = RosterSets.of(roster, [student.group for student in members])
    left_out = leave_one_out(points, counts, track, grown, sets.students)
    learned = calibrate_points(
        points, counts, gallery.encoder, card, fpir, track, grown, left_out, sets, heard
    )
    owners = np.repeat(np.array([student.number for student in members], np.int64), counts)
    return learned, SchoolScores.of(left_out, owners, sets)


def calibrate_points(
    points: NDArray[np.float32],
    counts: NDArray[np.int64],
    encoder: str,
    card: Card,
    fpir: float = FPIR,
    track: Track | None = None,
    grown: GrownPoints | None = None,
    left_out: LeftOut | None = None,
    sets: RosterSets | None = None,
    heard: DoorStrangers | None = None,
) -> Calibration:
    """Return the same from all students' points, each student's together, and how many each has.

    ``grown`` are their grown voiceprints: strangers' scores are raised by them, and students' own
    are not, so that what is expected flatters nobody. ``left_out``: the scores of these points,
    where they are computed already. ``sets``: who may enter together by a roster.
    ``heard``: strangers' scores at the door.

    Raises GalleryError for points that are no numbers, which are no strangers, and for a card
    whose strangers were scored by another rule.
    """
    if not np.isfinite(points).all():
        raise GalleryError("a voiceprint is no number; enroll the school again")
    if card.score != RULE:
        raise GalleryError(
            "the encoder's card counts strangers by another score; "
            "make it anew with 'kaimen-train export'"
        )
    students, several = len(counts), len(counts) > 1
    sets = RosterSets([], []) if sets is None else sets
    if left_out is None:
        left_out = leave_one_out(points, counts, track, grown, sets.students)
    strangers = left_out.strangers if several else left_out.strangers[:0]
    own = left_out.own[~np.isnan(left_out.own)]
    others = card.strangers
    heard = DoorStrangers() if heard is None else heard
    counted = threshold_of(strangers, students, others, fpir)
    threshold = heard.raised(counted, fpir)
    claimed = claim_threshold_of(left_out.claims.ravel(), others, fpir)
    first = threshold_of(strangers, students, others, fpir * FIRST_TRY)
    pairs = leave_two_out(points, counts, track, grown, sets.students)
    pooled = pooled_threshold_of(strangers, pairs, first, fpir) if several else first
    first, pooled = heard.raised_tries(first, pooled, fpir)
    compared = int(others.get("scores", 0))
    expected = share(strangers >= threshold)
    return Calibration(
        first_threshold=first,
        both_threshold=pooled,
        retry_fnir=missed(left_out.own, pairs, first, pooled),
        threshold=threshold,
        interval=interval_of(left_out, counts, fpir, threshold) if several else (threshold, 1.0),
        fpir=fpir,
        # Whoever comes to a gate of N is compared N times.
        promised=shown_by(len(strangers) + compared / students),
        encoder=encoder,
        students=students,
        recordings=len(points),
        strangers=len(strangers),
        compared=compared,
        grown=0 if grown is None else grown.latest,
        expected_fpir=expected,
        expected_fnir=share(own < threshold),
        claim_threshold=claimed,
        claim_fnmr=share(own < claimed),
        trade=trade_of(strangers, own),
        forecast=forecast_of(strangers, own, students, fpir, expected) if several else [],
        score=RULE,
        raised=threshold - counted,
        roster=calibrate_roster(
            sets, left_out, pairs, counts, others, fpir, (threshold, first, pooled), heard
        ),
    )
