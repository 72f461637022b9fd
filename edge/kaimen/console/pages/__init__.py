"""The pages, in the order of the navigation: a new one is added here."""

from kaimen.console.pages import health, live, sign_in

PAGES = (live.PAGE, health.PAGE, sign_in.PAGE)
