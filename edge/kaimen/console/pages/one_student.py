"""The student whom an address names."""

from __future__ import annotations

from kaimen.audit import pseudonym
from kaimen.console.exchange import Exchange, RefusedRequest
from kaimen.console.student_list import StudentList
from kaimen.registry.student_rows import Student

ONE = "/students/{number:int}"


def list_of(exchange: Exchange) -> StudentList:
    """Return the list of a console's school; of one that has no registry yet, an empty one."""
    if exchange.installation.has_registry:
        exchange.console.students.keep_up(exchange.installation.registry)
    return exchange.console.students


def student_of(exchange: Exchange) -> Student:
    """Return the student. Raises RefusedRequest for one who is not there."""
    student = list_of(exchange).student(exchange.request.path_params["number"])
    if student is None:
        raise RefusedRequest(404, "This student is not enrolled any more.")
    return student


def pseudonym_of(exchange: Exchange, student: Student) -> str:
    """Return what a student is called in the log."""
    return pseudonym(exchange.installation.log_key, student.name)
