"""``kaimen-train``: the workshop's command line.

Exit codes as of ``kaimen``: 0 done; 2 wrong usage or manifest; 4 an encoder that is missing
or damaged; 130 interrupted, and a run that was interrupted goes on when asked again.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence

from kaimen.cli.commands import add_commands, parse
from kaimen.cli.parser import CommandParser
from kaimen.errors import KaimenError
from kaimen.interrupt import INTERRUPTED, end_in_order
from kaimen.screen import Screen, show_what_can_be_shown

COMMANDS = {
    "fit": "train an encoder; goes on where it was interrupted",
    "export": "quantize the trained encoder, compare both runtimes, write it with its card",
    "ladder": "train, export and measure every rung from the 39 features to the deep encoder",
    "endpointing": "measure what the gate's endpointing loses: whole, cut tightly, "
    "with offset, hum and noise",
    "recorded": "measure what gain, gaps, sampling rates and formats of recordings cost",
    "claims": "compare rules for when a voice is another student's than the claimed one",
    "coach": "fit and measure the chance of being turned away that an enrollment predicts",
    "school": "draw a synthetic school from voices as they were measured",
    "speed": "time a phrase in int8, in float32 and at the peers, one thread each",
    "loudspeaker": "train the detector of loudspeakers on simulated replays, and measure it",
    "phrase": "train the phrase encoder and export it; goes on where it was interrupted",
    "latent": "train, measure and walk the latent space of an autoencoder",
    "checks": "measure the checks beside the voice on the eval split: words, replays, second tries",
    "adapt": "adapt the encoder to a school's recordings, "
    "where that tells other students better apart",
    "growing": "measure what voiceprints gain that grow with their students, and simulated attacks",
    "evaluate": "measure an encoder by the protocols, on the eval split",
}


def parser(chosen: str | None = None) -> argparse.ArgumentParser:
    """Return the command line; whole for the command that was chosen, which alone is loaded."""
    top = CommandParser(prog="kaimen-train", description="Recordings become an encoder.")
    add_commands(top, COMMANDS, "kaimen_train.cli", chosen)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code."""
    show_what_can_be_shown()
    given = sys.argv[1:] if arguments is None else list(arguments)
    # Only --help may stand before a command.
    name = given[0] if given else None
    chosen = parse(parser(name), given, COMMANDS)
    end_in_order()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", force=True)
    try:
        return _run(chosen)
    except KeyboardInterrupt:  # while an error is shown, too
        return INTERRUPTED


def _run(chosen: argparse.Namespace) -> int:
    try:
        return int(chosen.run(chosen))
    except KaimenError as error:
        Screen(as_json=False).error(error)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
