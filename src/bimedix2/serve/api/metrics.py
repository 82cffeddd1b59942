"""Counts for Prometheus. Labels hold route templates, never paths: a path may hold an id."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.responses import Response

from bimedix2.serve.auth.guard import Guard
from bimedix2.serve.engines.protocol import Engine, Usage

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"})


class Metrics:
    """Everything that is counted, in a registry of its own.

    Args:
        engine: asked for its state when the counts are read.
    """

    def __init__(self, engine: Engine) -> None:
        self.registry = CollectorRegistry()
        to = self.registry
        labels = ("method", "route", "status")
        self._requests = Counter("bimedix2_requests", "Requests answered, by route.", labels, registry=to)
        self._seconds = Histogram(
            "bimedix2_request_seconds", "Whole time of a request.", ("route",), buckets=_SECONDS, registry=to
        )
        self._first = Histogram(
            "bimedix2_first_token_seconds", "Request to first words.", buckets=_SECONDS, registry=to
        )
        self._answers = Counter("bimedix2_answers", "Answers, by how they ended.", ("end",), registry=to)
        self._tokens = Counter("bimedix2_tokens", "Tokens.", ("kind",), registry=to)
        self._images = Counter("bimedix2_images", "Images looked at.", registry=to)
        self._in_flight = Gauge("bimedix2_requests_in_flight", "Requests being answered.", registry=to)
        for name, text, value in (
            ("ready", "1 when answers can be written.", lambda: float(engine.state().ready)),
            ("running", "Answers being written.", lambda: float(engine.state().running)),
            ("queued", "Jobs waiting.", lambda: float(engine.state().queued)),
        ):
            Gauge(f"bimedix2_engine_{name}", text, registry=to).set_function(value)
        self._of_request: dict[tuple[str, str, int], Any] = {}
        self._of_route: dict[str, Any] = {}

    def request(self, scope: MutableMapping[str, Any], status: int, seconds: float) -> None:
        """Count a request that has been answered; ``status`` 0 stands for one whose client left first."""
        route = getattr(scope.get("route"), "path", "none")
        method = scope["method"] if scope["method"] in _METHODS else "other"
        key = (method, route, status)
        if key not in self._of_request:
            self._of_request[key] = self._requests.labels(method, route, str(status))
        self._of_request[key].inc()
        if route not in self._of_route:
            self._of_route[route] = self._seconds.labels(route)
        self._of_route[route].observe(seconds)

    @contextmanager
    def in_flight(self) -> Iterator[None]:
        """While a request is being answered."""
        self._in_flight.inc()
        try:
            yield
        finally:
            self._in_flight.dec()

    def first_words(self, seconds: float) -> None:
        """Count the wait for an answer's first words."""
        self._first.observe(seconds)

    def answer(self, end: str, usage: Usage, images: int) -> None:
        """Count an answer: ``end`` is a finish reason, ``stopped`` or an error's code."""
        self._answers.labels(end).inc()
        self._tokens.labels("prompt").inc(usage.prompt_tokens)
        self._tokens.labels("completion").inc(usage.completion_tokens)
        self._tokens.labels("reused").inc(usage.reused)
        self._images.inc(images)


def metrics_router(metrics: Metrics, guard: Guard) -> APIRouter:
    """``GET /metrics``, for keys with the scope ``admin``."""
    router = APIRouter()

    @router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
    async def read(request: Request) -> Response:
        """Counts in Prometheus's text form."""
        guard.require(request.state.principal, "admin")
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)

    return router
