"""What every page must be, in both languages, at both widths, in both schemes."""

from __future__ import annotations

from pathlib import Path

from tests.console.conftest import Desk, Seen

SIZES = ((390, 844), (1280, 800))


def require_readable(seen: Seen) -> None:
    """Require that nothing serious is found on the page that is open, and nothing is too wide."""
    path = seen.page.url.removeprefix(seen.address)
    for language in ("en", "zh"):
        seen.speak(language)
        seen.go(path)
        if seen.page.locator("canvas, .plot").count():
            seen.page.wait_for_selector("body[data-drawn]")
        for width, height in SIZES:
            seen.page.set_viewport_size({"width": width, "height": height})
            wide = seen.page.evaluate("document.documentElement.scrollWidth")
            assert wide <= width, f"the page is {wide} wide"
            for scheme in ("light", "dark"):
                seen.page.emulate_media(color_scheme=scheme)
                found = seen.complaints()
                assert not found, f"{language}, {width}, {scheme}: {found}"
        seen.page.emulate_media(color_scheme="light")
    seen.speak("en")
    seen.go(path)


def acts_of(desk: Desk) -> tuple[Path, bytes]:
    """The folder of what people did at a desk, and its key."""
    return desk.console.installation.acts_folder, desk.console.installation.acts_key
