"""The pages, in the order of the navigation: a new one is added here."""

from kaimen.console.pages import enrolling, health, live, sign_in, students

PAGES = (live.PAGE, students.PAGE, enrolling.PAGE, health.PAGE, sign_in.PAGE)
