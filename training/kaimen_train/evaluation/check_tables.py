"""The checks beside the voice, measured on the eval split and shown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from kaimen.bench.phrase import STORED
from kaimen.voice import SHIPPED
from kaimen.voice.phrase import PhraseEncoder
from kaimen_train.data.corpus import Row
from kaimen_train.evaluation import check_costs, replay_protocol, two_tries
from kaimen_train.evaluation.evaluate import embedded, hear, of_encoder
from kaimen_train.evaluation.protocols import by_text
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
    words = Table(
        "enrolled phrase", "said", "accepted", "trials", "at the card's threshold",
        title="words, an enrolled speaker's own voice", box=SIMPLE_HEAD,
    )  # fmt: skip
    for corpus, each in found["words"].items():
        for kind, figure in each.items():
            if isinstance(figure, dict):
                share, (low, high), card = figure["share"], figure["interval"], figure["at_card"]
                said = "the same: turned away" if kind == "missed" else kind
                shown = f"{share:.2%} ({low:.1%} to {high:.1%})"
                words.add_row(corpus, said, shown, str(figure["trials"]), f"{card:.2%}")
    yield words
    replays = Table(
        "recordings", "fresh takes refused", "replays found", "by SNR",
        title="replays through simulated devices", box=SIMPLE_HEAD,
    )  # fmt: skip
    for corpus, each in found["replays"].items():
        by_snr = ", ".join(
            f"{snr} dB: {some['found']:.1%} of {some['replays']}"
            for snr, some in each["by_snr"].items()
        )
        refused = f"{each['fresh_refused']:.3%} of {each['fresh']}"
        replays.add_row(corpus, refused, f"{each['found']:.1%} of {each['replays']}", by_snr)
    yield replays
    tries = Table(
        "corpus", "enrolled", "FPIR", "FNIR, one try", "two tries", "less", "asked again",
        title="a second try", box=SIMPLE_HEAD,
    )  # fmt: skip
    for each in found["two_tries"]:
        one, two = each["fnir_one_try"], each["fnir_two_tries"]
        less = "–"
        if each["interval"]:
            low, high = each["interval"]
            less = f"{each['less']:.0%} ({low:.0%} to {high:.0%})"
        shares = (f"{each['fpir']:.0%}", f"{one:.2%}", f"{two:.2%}", less)
        tries.add_row(each["corpus"], str(each["enrolled"]), *shares, f"{each['asked_again']:.1%}")
    yield tries
    costs = Table(
        "runtime, windows", "encoder", "words", "loudspeaker", "replay, 5 stored",
        f"{STORED} stored",
        "together", f"with {STORED}", title="what the checks cost, ms", box=SIMPLE_HEAD,
    )  # fmt: skip
    for each in found["costs"]:
        name, *taken = [each[key] for key in (
            "runtime", "encoder", "words", "loudspeaker", "replay_5", f"replay_{STORED}",
        )]  # fmt: skip
        parts = (f"{each[share]:.2f} of encoder" for share in ("share_5", f"share_{STORED}"))
        costs.add_row(f"{name}, {each['windows']}", *(f"{one:.2f}" for one in taken), *parts)
    yield costs
