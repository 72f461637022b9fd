"""The pages, in the order of the navigation: a new one is added here."""

from kaimen.console.pages import (
    account,
    acts,
    calibration,
    enrolling,
    gates,
    health,
    latent_map,
    live,
    review,
    sign_in,
    students,
)

PAGES = (
    live.PAGE,
    students.PAGE,
    enrolling.PAGE,
    review.PAGE,
    latent_map.PAGE,
    calibration.PAGE,
    health.PAGE,
    gates.PAGE,
    acts.PAGE,
    account.PAGE,
    sign_in.PAGE,
)
