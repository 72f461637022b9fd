"""The console as an OpenAPI description, made of its pages' addresses and its templates' forms.

It is for tests: no page asks for it, and nobody but a browser is meant to use these addresses.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

from kaimen.console.exchange import environment
from kaimen.console.page import PageRoute
from kaimen.console.pages import PAGES

Schema = dict[str, Any]
PLACE = re.compile(r"\{(\w+)(?::(\w+))?\}")
SHOWN = re.compile(r"\{\{.*?\}\}")
OTHER_TAGS = re.compile(r"\{[%#].*?[%#]\}", re.DOTALL)
URLENCODED, MULTIPART = "application/x-www-form-urlencoded", "multipart/form-data"
TEXT: Schema = {"type": "string", "maxLength": 1200}
TYPES: dict[str, Schema] = {
    "date": {"type": "string", "anyOf": [{"format": "date"}, {"const": ""}]},
    "file": {"type": "array", "items": {"type": "string", "format": "binary"}, "maxItems": 3},
}
# What scripts send, and no form of a template does.
SENT_BY_SCRIPTS: dict[str, dict[str, Schema]] = {
    "/sign-in/passkey/challenge": {},
    "/sign-in/passkey": {"then": TEXT, "answer": TEXT},
    "/account/passkeys/challenge": {"label": TEXT, "password": TEXT},
    "/account/passkeys": {"answer": TEXT},
}
# What views read of an address after its question mark.
ASKED: dict[str, dict[str, Schema]] = {
    "/students": {"q": TEXT, "group": TEXT, "after": TEXT},
    "/students/rows": {"q": TEXT, "group": TEXT, "after": TEXT},
    "/calibration/what-if": {"threshold": {"anyOf": [{"type": "number"}, TEXT]}},
    "/sign-in": {"then": TEXT},
    "/language/{}": {"then": TEXT},
}
# A number that is likely to be somebody's, or something's.
NUMBER: Schema = {"anyOf": [{"enum": [1, 2, 3]}, {"type": "integer", "minimum": 0}]}
NAME: Schema = {"type": "string", "minLength": 1, "maxLength": 100, "pattern": "^[^/]+$"}
# What an address may answer, and as what.
STATUSES = (200, 206, 400, 401, 403, 404, 405, 409, 413, 422, 429)
WITHOUT_CONTENT = (303, 416)
KINDS = ("text/html", "application/json", "audio/flac", "text/event-stream")


class _Forms(HTMLParser):
    """Finds the fields of each form that is sent, by its address with {} for what is filled in."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: dict[str, dict[str, list[Schema]]] = defaultdict(lambda: defaultdict(list))
        self._form: dict[str, list[Schema]] | None = None
        self._also: list[str] = []  # other addresses that the form's buttons send it to
        self._choices: list[str] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            sent = given.get("method") == "post"
            self._form = self.forms[given["action"]] if sent else None
        if self._form is None:
            return
        if "formaction" in given:
            self._also.append(given["formaction"])
        if tag == "select":
            self._choices = []
            self._form[given["name"]].append({"enum": self._choices})
        elif tag == "option" and self._choices is not None:
            self._choices.append(given.get("value", ""))
        elif tag == "button" and "name" in given:
            self._form[given["name"]].append({"const": given["value"]})
        elif tag in ("input", "textarea"):
            self._form[given["name"]].append(TYPES.get(given.get("type", ""), TEXT))

    def handle_endtag(self, tag: str) -> None:
        if tag == "select":
            self._choices = None
        elif tag == "form" and self._form is not None:
            for action in self._also:
                for name, schemas in self._form.items():
                    self.forms[action][name] += schemas
            self._form, self._also = None, []


def forms() -> dict[str, dict[str, Schema]]:
    """Return the fields of all that is sent, by its address with {} for what is filled in."""
    found = _Forms()
    for name in environment().list_templates(extensions=["html"]):
        source, *_ = environment().loader.get_source(environment(), name)  # type: ignore[union-attr]
        found.feed(OTHER_TAGS.sub("", SHOWN.sub("{}", source)))
    fields = {
        action: {name: _either(schemas) for name, schemas in form.items()}
        for action, form in found.forms.items()
    }
    return fields | SENT_BY_SCRIPTS


def _either(schemas: list[Schema]) -> Schema:
    different = [each for at, each in enumerate(schemas) if each not in schemas[:at]]
    return different[0] if len(different) == 1 else {"anyOf": different}


def shape(route: PageRoute) -> str:
    """Return an address with {} for what is filled in."""
    return PLACE.sub("{}", route.path)


def description() -> Schema:
    """Return all addresses, as OpenAPI 3.1 has them."""
    paths: Schema = defaultdict(dict)
    sent = forms()
    for route in (route for page in PAGES for route in page.routes):
        path = PLACE.sub(r"{\1}", route.path)
        paths[path][route.method.lower()] = _operation(route, sent.get(shape(route), {}))
    info = {"title": "The console of Kaimen", "version": "1"}
    return {"openapi": "3.1.0", "info": info, "paths": dict(paths)}


def _operation(route: PageRoute, fields: dict[str, Schema]) -> Schema:
    content = {kind: {"schema": {}} for kind in KINDS}
    operation: Schema = {
        "operationId": f"{route.method} {route.path}",
        "parameters": [*_parameters(route)],
        "responses": {
            **{str(each): {"description": "", "content": content} for each in STATUSES},
            **{str(each): {"description": ""} for each in WITHOUT_CONTENT},
        },
    }
    if route.method != "GET":
        form = {"type": "object", "properties": fields, "required": sorted(fields)}
        has_file = any(each is TYPES["file"] for each in fields.values())
        kinds = (MULTIPART,) if has_file else (URLENCODED, MULTIPART)
        operation["requestBody"] = {"content": {each: {"schema": form} for each in kinds}}
    return operation


def _parameters(route: PageRoute) -> Iterator[Schema]:
    for name, kind in PLACE.findall(route.path):
        schema = NUMBER if kind == "int" or name == "number" else NAME
        yield {"name": name, "in": "path", "required": True, "schema": schema}
    if route.method == "GET":
        for name, schema in ASKED.get(shape(route), {}).items():
            yield {"name": name, "in": "query", "schema": schema}
