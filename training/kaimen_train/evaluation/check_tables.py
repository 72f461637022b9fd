"""The checks beside the voice, measured on the eval split and shown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.table import Table

from kaimen.bench.phrase import STORED
from kaimen.voice import SHIPPED
from kaimen.voice.phrase import PhraseEncoder
from kaimen_train.data.corpus import Row
from kaimen_train.evaluation import check_costs, replay_protocol, two_tries
from kaimen_train.evaluation.evaluate import embedded, hear, of_encoder
from kaimen_train.evaluation.protocols import by_text
from kaimen_train.evaluation.tables import titled
from kaimen_train.phrase import protocol


def measure(rows: Sequence[Row]) -> dict[str, Any]:
    """Words, second tries and costs on the eval split, replays of all takes of two corpora."""
    made = embedded(hear(rows), of_encoder(SHIPPED))
    tries = []
    for corpus, enroll, visit in two_tries.SPLITS:
        texts = by_text(made.heard.rows[corpus], made.points[corpus])
        for each in two_tries.compare(texts, enroll, visit):
            tries.append({"corpus": corpus, "enrolled": len(enroll), **each})
    return {
        "words": protocol.evaluate(rows, PhraseEncoder()),
        "replays": replay_protocol.evaluate(rows),
        "two_tries": tries,
        "costs": check_costs.measure(made.heard.names, made.heard.phrases),
    }


def tables(found: Mapping[str, Any]) -> Iterator[Table]:
    """Return the same to be looked at."""
    names = ["enrolled phrase", "said", "accepted", "trials", "at the card's threshold"]
    words = titled("words, an enrolled speaker's own voice", *names)
    for corpus, each in found["words"].items():
        for kind, figure in each.items():
            if isinstance(figure, dict):
                share, (low, high), card = figure["share"], figure["interval"], figure["at_card"]
                said = "the same: turned away" if kind == "missed" else kind
                shown = f"{share:.2%} ({low:.1%} to {high:.1%})"
                words.add_row(corpus, said, shown, str(figure["trials"]), f"{card:.2%}")
    yield words
    names = ["recordings", "fresh takes refused", "replays found", "by SNR"]
    replays = titled("replays through simulated devices", *names)
    for corpus, each in found["replays"].items():
        by_snr = ", ".join(
            f"{snr} dB: {some['found']:.1%} of {some['replays']}"
            for snr, some in each["by_snr"].items()
        )
        refused = f"{each['fresh_refused']:.3%} of {each['fresh']}"
        replays.add_row(corpus, refused, f"{each['found']:.1%} of {each['replays']}", by_snr)
    yield replays
    names = ["corpus", "enrolled", "FPIR", "FNIR, one try", "two tries", "less", "asked again"]
    tries = titled("a second try", *names)
    for each in found["two_tries"]:
        one, two = each["fnir_one_try"], each["fnir_two_tries"]
        less = "–"
        if each["interval"]:
            low, high = each["interval"]
            less = f"{each['less']:.0%} ({low:.0%} to {high:.0%})"
        shares = (f"{each['fpir']:.0%}", f"{one:.2%}", f"{two:.2%}", less)
        tries.add_row(each["corpus"], str(each["enrolled"]), *shares, f"{each['asked_again']:.1%}")
    yield tries
    parts = ("encoder", "words", "loudspeaker")
    replay = ("replay, 5 stored", f"{STORED} stored", "together", f"with {STORED}")
    costs = titled("what the checks cost, ms", "runtime, windows", *parts, *replay)
    for each in found["costs"]:
        taken = (f"{each[key]:.2f}" for key in (*parts, "replay_5", f"replay_{STORED}"))
        asked = (f"{each[share]:.2f} of encoder" for share in ("share_5", f"share_{STORED}"))
        costs.add_row(f"{each['runtime']}, {each['windows']}", *taken, *asked)
    yield costs
