"""``kaimen bundle``: what the gate hears with, as one signed file."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping
from pathlib import Path

from rich.table import Table

from kaimen import __version__
from kaimen.bundle.bundle import TRIAL, Bundle, Policy, make
from kaimen.bundle.selftest import parts_of, require_passed, takes_in
from kaimen.bundle.signing import new_key, private_key, shown
from kaimen.bundle.slots import Slots, SlotsState
from kaimen.cli.options import add_file, add_flag
from kaimen.errors import BundleError, EncoderError, SettingsError
from kaimen.installation import Installation
from kaimen.local_time import local
from kaimen.rehearsal import RECORDINGS
from kaimen.rollout.coverage import lost
from kaimen.rollout.install import install
from kaimen.screen import Screen
from kaimen.settings import Settings
from kaimen.storage import require_folder
from kaimen.voice import LOUDSPEAKER, PHRASE, SHIPPED, model_path
from kaimen.voice.encoder import RUNTIMES, Encoder
from kaimen.voice.models import Models

EXAMPLE = """example:
  kaimen bundle key maker.pem            (keep it where no gate is; maker.pub is for gates)
  kaimen bundle make autumn.kaimen --key maker.pem --version 2
  kaimen bundle inspect autumn.kaimen    (without a file: what is installed)
  kaimen bundle install autumn.kaimen --from school/
  kaimen bundle rollback

A bundle is taken if a key in the folder of trusted ones signed it, if its self-test passes here,
and if nobody of the school would be lost. It then listens along for a number of decisions before
it decides itself."""

WHAT = ("key", "make", "inspect", "install", "rollback")


def add(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("what", choices=WHAT, help="what to do")
    parser.add_argument("file", nargs="?", type=Path, help="the bundle, or the new key")
    making = parser.add_argument_group("make")
    add_file(making, "--key", "the private key that signs")
    making.add_argument("--version", type=int, metavar="N", help="a number that only grows")
    making.add_argument("--name", default="kaimen", help="what people call it")
    making.add_argument("--program", default=__version__, help="the least Kaimen it runs with")
    making.add_argument("--encoder", type=Path, help="an encoder.tflite; else what comes along")
    making.add_argument("--phrase", type=Path, help="a phrase.tflite; else the one beside it")
    making.add_argument("--loudspeaker", type=Path, help="a loudspeaker.npz; else the one beside")
    both = parser.add_argument_group("make and install")
    both.add_argument("--fpir", type=float, help="what a school is calibrated for; else as it was")
    both.add_argument(
        "--trial", type=int, metavar="N", help=f"decisions it listens along for, {TRIAL} unless set"
    )
    installing = parser.add_argument_group("install")
    installing.add_argument(
        "--from", dest="place", type=Path, metavar="PLACE",
        help="the recordings that the school was enrolled from, as for 'kaimen enroll --from'",
    )  # fmt: skip
    add_flag(installing, "--without-them", "even if students must be enrolled again")


def run(arguments: argparse.Namespace, screen: Screen) -> int:
    """Do one of them."""
    with Installation.open(Settings.read(arguments.config), screen) as installation:
        settings = installation.settings
        what, file = arguments.what, arguments.file
        if file is None and what not in ("inspect", "rollback"):
            raise SettingsError(f"name the file: 'kaimen bundle {what} FILE'; see --help")
        if what == "key":
            public = new_key(file)
            screen.result(
                {"private": str(file), "public": str(public)},
                f"{file!s} signs: keep it where no gate is. "
                f"{public!s} goes into {settings.bundle.keys!s} "
                "of every gate.",
            )
        elif what == "make":
            _make(arguments, settings, screen)
        elif what == "install":
            install(arguments, installation, screen)
        elif what == "rollback":
            _roll_back(installation, screen)
        elif file is not None:
            _inspect(Bundle.open(file, installation.slots.trusted), screen)
        else:
            _installed(installation.slots, screen)
    return 0


def _make(arguments: argparse.Namespace, settings: Settings, screen: Screen) -> None:
    """Write a bundle that passes its own self-test in every runtime that is here."""
    if arguments.key is None or arguments.version is None:
        raise SettingsError("'kaimen bundle make' needs --key FILE and --version N; see --help")
    require_folder(arguments.file)
    key = private_key(arguments.key)
    chosen = TRIAL if arguments.trial is None else arguments.trial
    try:
        policy = Policy(arguments.fpir, chosen)
    except ValueError as error:
        raise SettingsError(str(error)) from None
    encoder = arguments.encoder or settings.encoder.shipped
    sources = {
        SHIPPED: encoder,
        PHRASE: arguments.phrase or model_path(encoder, PHRASE),
        LOUDSPEAKER: arguments.loudspeaker or model_path(encoder, LOUDSPEAKER),
    }
    parts = {
        shipped.with_suffix(suffix).name: _content(source.with_suffix(suffix))
        for shipped, source in sources.items()
        for suffix in (shipped.suffix, ".json")
    }
    with tempfile.TemporaryDirectory(prefix="kaimen-bundle-") as scratch:
        folder = Path(scratch)
        _write(folder, parts)
        models = Models.shipped(Encoder(folder / SHIPPED.name))
        alone = models.loudspeaker is None or not models.loudspeaker.knows(models.encoder)
        parts |= parts_of(models, takes_in(RECORDINGS))
        _write(folder, parts)
        for runtime in _runtimes(folder):
            require_passed(folder, runtime)
    manifest = make(
        arguments.file, parts, key,
        name=arguments.name, version=arguments.version, program=arguments.program, policy=policy,
    )  # fmt: skip
    if alone:
        screen.say(
            "its detector of loudspeakers was trained beside another encoder: it hears each phrase "
            "alone, and less; see 'kaimen-train loudspeaker --encoder'"
        )
    screen.result(
        {
            "bundle": str(arguments.file),
            "version": manifest.version,
            "identity": manifest.identity,
            "loudspeaker": "alone" if alone else "beside",
        },
        f"{arguments.file!s}: {manifest.name}, version {manifest.version}, "
        f"identity {manifest.identity[:16]}",
    )


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BundleError(f"{path}: cannot be read ({error.strerror}); check it") from None


def _write(folder: Path, parts: dict[str, bytes]) -> None:
    for name, content in parts.items():
        (folder / name).write_bytes(content)


def _runtimes(folder: Path) -> list[str]:
    """Return those that are installed here. Raises EncoderError where none runs the encoder."""
    found = []
    for runtime in RUNTIMES:
        try:
            Encoder(folder / SHIPPED.name, runtime=runtime)
        except EncoderError:
            continue
        found.append(runtime)
    return found


def _inspect(bundle: Bundle, screen: Screen) -> None:
    for _ in bundle.parts():
        pass
    manifest = bundle.manifest
    fields = {
        "bundle": str(bundle.path),
        "name": manifest.name,
        "version": manifest.version,
        "identity": manifest.identity,
        "signed_by": shown(bundle.signer),
        "made": manifest.made,
        "program": manifest.program,
        "fpir": manifest.policy.fpir,
        "trial": manifest.policy.trial,
    }
    screen.result(fields | {"parts": [[x.name, x.size, x.sha256] for x in manifest.parts]})
    _show(fields | {"made": local(manifest.made)}, screen)
    table = Table("part", "bytes", "SHA-256", box=None, pad_edge=False)
    for part in manifest.parts:
        table.add_row(part.name, f"{part.size}", part.sha256[:16])
    screen.show(table)


def _installed(slots: Slots, screen: Screen) -> None:
    state = slots.state()
    trial = state.trial
    fields = {
        "active": _named(slots, state, state.active),
        "back": _named(slots, state, state.back) if state.active else None,
        "trial": _named(slots, state, trial.slot) if trial else None,
        "left": trial.left if trial else None,
        "so_far": trial.told if trial else None,
        "highest": state.highest,
        "last_trial": state.said or None,
    }
    screen.result(fields)
    _show(fields, screen)


def _show(fields: Mapping[str, object], screen: Screen) -> None:
    table = Table("", "", box=None, pad_edge=False, show_header=False)
    for name, value in fields.items():
        if value is not None:
            table.add_row(name.replace("_", " "), str(value))
    screen.show(table)


def _named(slots: Slots, state: SlotsState, slot: str | None) -> str:
    """Return what is in a slot, for a person; what is wrong with it, if something is."""
    if slot is None:
        return "what ships with the program"
    try:
        manifest = slots.opened(slot, state).manifest
    except BundleError as error:
        return f"slot {slot}: {error}"
    return f"{manifest.name}, version {manifest.version}, {manifest.identity[:16]} (slot {slot})"


def _roll_back(installation: Installation, screen: Screen) -> None:
    slots = installation.slots
    before, after = slots.roll_back()
    active = _named(slots, after, after.active)
    ended = before.trial is not None
    line = f"the trial is ended; active stays: {active}" if ended else f"active again: {active}"
    again = {} if ended else lost(installation, before, after)
    screen.result({"active": active, "trial_ended": ended, "again": again}, line)
    if again:
        screen.say(f"{len(again)} students must be enrolled again for it; --json names them")
    if not ended:
        _arm(installation, screen)


def _arm(installation: Installation, screen: Screen) -> None:
    """See that the door can be armed again: the school may have changed meanwhile."""
    if not installation.settings.gallery.file.exists():
        return
    if installation.arming.disarmed:
        installation.arming.calibrate_or_say()
    screen.say("a running gate takes it up by itself")
