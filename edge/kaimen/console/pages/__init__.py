"""The pages, in the order of the navigation: a new one is added here."""

from kaimen.console.pages import acts, calibration, health, latent_map, live, review, sign_in

PAGES = (
    live.PAGE,
    review.PAGE,
    latent_map.PAGE,
    calibration.PAGE,
    health.PAGE,
    acts.PAGE,
    sign_in.PAGE,
)
