"""The page docs/how/door-states.md, drawn from the table: ``python -m kaimen.door.diagram``."""

from __future__ import annotations

import sys

from kaimen.door.states import ENDS, FAULTS, GRACE, LEASED, TRANSITIONS, State

ABOUT = {
    State.SHUT: "closed and at rest",
    State.UNLOCKED: "inside a lease, not opened yet",
    State.PASSING: "inside a lease, standing open",
    State.LOCKING: f"just off or just closed; for {GRACE:g} s an opening door is not forced",
    State.AJAR: "standing open after its lease",
    State.HELD: "standing open for too long: buzzer",
    State.FORCED: "opened without a lease: alarm",
}


def arrows() -> list[str]:
    """Return a line of Mermaid for each two states, with all events from one to the other."""
    events: dict[tuple[State, State], list[str]] = {}
    for (state, event), target in TRANSITIONS.items():
        events.setdefault((state, target), []).append(event.value)
    return [
        f"    {state.name} --> {target.name}: {', '.join(labels)}"
        for (state, target), labels in events.items()
    ]


def page() -> str:
    """Return the whole page, as Markdown."""
    rows = [
        f"| {state.value} | {'on' if state in LEASED else 'off'} | {ABOUT[state]} | "
        f"{ENDS[state].value if state in ENDS else ''} |"
        for state in State
    ]
    faults = [
        f"| {event.value} | {fault.value} | {'set' if there else 'cleared'} |"
        for event, (fault, there) in FAULTS.items()
    ]
    lines = [
        "# States of the door",
        "",
        "Written by `python -m kaimen.door.diagram > docs/how/door-states.md` from the table in",
        "[states.py](../../edge/kaimen/door/states.py); a test holds one against the other.",
        "",
        "```mermaid",
        "stateDiagram-v2",
        "    [*] --> SHUT",
        "    [*] --> AJAR: found open",
        *arrows(),
        "```",
        "",
        "| state | relay | | ends by itself |",
        "|---|---|---|---|",
        *rows,
        "",
        "With `pulse` set the relay is on for the first moment of a lease only. Without a contact",
        "only shut, unlocked and locking happen. The exit button opens in every state.",
        "",
        "Beside the state there are faults, which change no state:",
        "",
        "| event | fault | |",
        "|---|---|---|",
        *faults,
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(page())
