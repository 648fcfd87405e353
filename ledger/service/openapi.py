"""The OpenAPI document: what each route says of itself, with the schemas that its bodies are held to.

Bodies and answers are msgspec's structs, the domain's own where it has them: so the rules that the document tells are
those that are applied.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from http import HTTPStatus
from importlib.metadata import version
from typing import Any, TypeVar

import msgspec
from fastapi import APIRouter
from fastapi.routing import APIRoute

from ledger.service import bodies, problems
from ledger.service.problems import ProblemTold
from ledger.service.scopes import SCOPES, Scope

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])

_TITLE = "Consent Ledger"
_ABOUT = """\
An append-only log of what people were shown, what they chose and what was used, with proofs of all of it.

Who is asked about stands in the body and never in a URL. An error is a problem document (RFC 9457): `code` is for
programs, `detail` one sentence. A request that is sent again with the same `Idempotency-Key` is one event.
"""
_REF = "#/components/schemas/{name}"
#: Whatever is asked: a query string, too many requests, a head that is too long, an error of ours, an overload.
_ALWAYS = (400, 429, 431, 500, 503)
_WITH_TOKEN = (401, 403)
_WITH_BODY = (413, 415, 422)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request is answered with: a struct, or another media type."""

    what: str
    form: Any = None
    media_type: str = bodies.MEDIA_TYPE
    example: Any = None
    schema: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Operation:
    """What the document says of a route, besides its path and its words."""

    name: str
    answers: Mapping[int, Answer]
    #: Any one of them opens it; none: it is public.
    scopes: tuple[Scope, ...] = ()
    body: Any = None
    #: By name.
    examples: Mapping[str, Any] = field(default_factory=dict)
    #: Statuses of problems, besides those that every route has.
    problems: tuple[int, ...] = ()
    parameters: tuple[Mapping[str, Any], ...] = ()


_OPERATIONS: dict[Callable[..., Any], Operation] = {}


def described(operation: Operation) -> Callable[[Endpoint], Endpoint]:
    """Says of an endpoint what the document tells about it; its docstring is the description."""

    def keep(endpoint: Endpoint) -> Endpoint:
        _OPERATIONS[endpoint] = operation
        return endpoint

    return keep


def document(routers: Iterable[APIRouter]) -> dict[str, Any]:
    """The whole document; every route in it, or it is none of the API's."""
    routes = [route for router in routers for route in router.routes if isinstance(route, APIRoute)]
    known = [(route, _OPERATIONS[route.endpoint]) for route in routes if route.include_in_schema]
    forms: dict[Any, None] = {ProblemTold: None}
    for _, operation in known:
        forms |= dict.fromkeys(form for form in _forms(operation) if form is not None)
    schemas, components = msgspec.json.schema_components(list(forms), ref_template=_REF)
    by_form = dict(zip(forms, schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for route, operation in known:
        for method in sorted(route.methods or ()):
            paths.setdefault(route.path_format, {})[method.lower()] = _operation(route, operation, by_form)
    return {
        "openapi": "3.1.0",
        "info": {"title": _TITLE, "version": version("consent-ledger"), "description": _ABOUT},
        "paths": paths,
        "components": {
            "schemas": {name: _plain(schema) for name, schema in components.items()},
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A token of `consent tokens create`. Scopes: "
                    + "; ".join(f"`{scope}`: {opens}" for scope, opens in SCOPES.items()),
                }
            },
        },
    }


def _forms(operation: Operation) -> Iterable[Any]:
    return (operation.body, *(answer.form for answer in operation.answers.values()))


def _operation(route: APIRoute, operation: Operation, by_form: Mapping[Any, Any]) -> dict[str, Any]:
    summary, _, description = inspect.cleandoc(route.endpoint.__doc__ or "").partition("\n\n")
    needs = f"Scope: {' or '.join(f'`{scope}`' for scope in operation.scopes)}." if operation.scopes else "Public."
    told: dict[str, Any] = {
        "operationId": operation.name,
        "summary": summary.removesuffix("."),
        "description": "\n\n".join(filter(None, [description, needs])),
        "security": [{"token": []}] if operation.scopes else [],
        "responses": {
            **{str(status): _answer(answer, by_form) for status, answer in operation.answers.items()},
            **{str(status): _problem(status, by_form) for status in _problems(operation)},
        },
    }
    if operation.parameters:
        told["parameters"] = [*operation.parameters]
    if operation.body is not None:
        content: dict[str, Any] = {"schema": _plain(by_form[operation.body])}
        if operation.examples:
            content["examples"] = {name: {"value": example} for name, example in operation.examples.items()}
        told["requestBody"] = {"required": True, "content": {bodies.MEDIA_TYPE: content}}
    return told


def _problems(operation: Operation) -> list[int]:
    statuses = {*_ALWAYS, *operation.problems}
    statuses |= set(_WITH_TOKEN) if operation.scopes else set()
    statuses |= set(_WITH_BODY) if operation.body is not None else set()
    return sorted(statuses - operation.answers.keys())


def _answer(answer: Answer, by_form: Mapping[Any, Any]) -> dict[str, Any]:
    content: dict[str, Any] = {
        "schema": dict(answer.schema or {}) if answer.form is None else _plain(by_form[answer.form])
    }
    if answer.example is not None:
        content["example"] = answer.example
    return {"description": answer.what, "content": {answer.media_type: content}}


def _problem(status: int, by_form: Mapping[Any, Any]) -> dict[str, Any]:
    headers = {}
    if status in (429, 503):
        headers["Retry-After"] = {"description": "Seconds to wait", "schema": {"type": "string"}}
    if status in (401, 403):
        headers["WWW-Authenticate"] = {"description": "What is missing (RFC 6750)", "schema": {"type": "string"}}
    told = {
        "description": HTTPStatus(status).phrase,
        "content": {problems.MEDIA_TYPE: {"schema": _plain(by_form[ProblemTold])}},
    }
    return told | ({"headers": headers} if headers else {})


def _plain(schema: Any) -> Any:
    """The same with patterns as ECMA 262 writes them, which is how JSON Schema reads them."""
    if isinstance(schema, dict):
        return {
            name: ecma(value) if name == "pattern" and isinstance(value, str) else _plain(value)
            for name, value in schema.items()
        }
    return [_plain(one) for one in schema] if isinstance(schema, list) else schema


@cache
def ecma(pattern: str) -> str:
    """A pattern's anchors as ECMA 262 has them."""
    return pattern.replace(r"\A", "^").replace(r"\Z", "$")
