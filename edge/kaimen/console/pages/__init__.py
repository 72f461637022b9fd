"""The pages, in the order of the navigation: a new one is added here."""

from kaimen.console.pages import acts, health, live, sign_in

PAGES = (live.PAGE, health.PAGE, acts.PAGE, sign_in.PAGE)
