"""The topics of a fleet. Names of students are in none of them."""

from __future__ import annotations

import re

GATE = re.compile(r"[a-z0-9][a-z0-9-]{0,30}")  # names of gates and desks, and tags
LENGTH = 32  # characters of a student's pseudonym: 128 bits


class Topics:
    """The topics of one fleet, by its identity."""

    def __init__(self, fleet: str) -> None:
        self.root = f"kaimen/{fleet}"
        self.manifests = f"{self.root}/manifest/+"
        self.all_students = f"{self.root}/students/+/+"
        self.statuses = f"{self.root}/gates/+/status"
        self.onlines = f"{self.root}/gates/+/online"
        self.all_events = f"{self.root}/gates/+/events"

    def student(self, pseudonym: str) -> str:
        """Return where a student's record is retained."""
        return f"{self.root}/students/{pseudonym[:2]}/{pseudonym}"

    def bucket(self, bucket: str) -> str:
        """Return a filter for all students of a bucket."""
        return f"{self.root}/students/{bucket}/+"

    def manifest(self, desk: str) -> str:
        """Return where a desk says what the whole set is."""
        return f"{self.root}/manifest/{desk}"

    def content(self, sha256: str) -> str:
        """Return where a bundle or settings for gates are retained."""
        return f"{self.root}/content/{sha256[:32]}"

    def of_gate(self, gate: str, what: str) -> str:
        """Return a gate's own topic: status, online, events; order, receipt to it."""
        return f"{self.root}/gates/{gate}/{what}"

    def gate_of(self, topic: str) -> tuple[str, str]:
        """Return the gate of one of its topics, and what it is; empty strings for another."""
        parts = topic.removeprefix(f"{self.root}/gates/").split("/")
        return (parts[0], parts[1]) if len(parts) == 2 else ("", "")

    def pseudonym_of(self, topic: str) -> str:
        """Return the pseudonym of a student's topic; empty for another one."""
        parts = topic.removeprefix(f"{self.root}/students/").split("/")
        whole = len(parts) == 2 and len(parts[1]) == LENGTH and parts[0] == parts[1][:2]
        return parts[1] if whole else ""
