"""Requests made from the server's own OpenAPI document, good ones and bad ones: no fault, and answers as documented."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest
import schemathesis
from bad_answers import Whole, whole
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS, load_all_checks

load_all_checks()
NAMES = (
    "not_a_server_error", "status_code_conformance", "content_type_conformance", "response_headers_conformance",
    "response_schema_conformance", "negative_data_rejection",
)  # fmt: skip
PATHS = {
    "/health", "/api/session", "/v1/chat/completions", "/v1/models", "/v1/models/{name}", "/metrics", "/v1/uploads",
    "/v1/uploads/{name}", "/v1/uploads/{name}/image", "/v1/uploads/{name}/pixels", "/v1/conversations",
    "/v1/conversations/{name}", "/v1/data", "/v1/export/{form}",
}  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Whole]:
    with whole(tmp_path_factory.mktemp("server")) as found:
        yield found


def schema_of(server: Whole) -> Any:
    document = server.send("GET", "/openapi.json").json()
    assert set(document["paths"]) == PATHS, "a new route belongs into the tests of bad inputs too"
    return schemathesis.openapi.from_dict(document)


def search(server: Whole, examples: int, mode: GenerationMode) -> int:
    """Ask every operation so many things; how many were asked."""
    checks = [CHECKS.get_one(name) for name in NAMES]
    count = 0
    for found in schema_of(server).get_all_operations():
        operation = found.ok()
        if mode is GenerationMode.NEGATIVE and not (operation.body or list(operation.iter_parameters())):
            continue  # nothing to be sent wrong

        @hypothesis.seed(20261125)
        @hypothesis.settings(
            max_examples=examples, deadline=None, database=None, derandomize=False,
            suppress_health_check=list(hypothesis.HealthCheck),
            phases=[hypothesis.Phase.generate, hypothesis.Phase.shrink],
        )  # fmt: skip
        @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
        def ask(case: Any) -> None:
            nonlocal count
            count += 1
            for language in ("en", "ar"):
                headers = {"Authorization": f"Bearer {server.admin}", "Accept-Language": language}
                answer = case.call(base_url=server.server.url, headers=headers, timeout=30)
                case.validate_response(answer, checks=checks, headers=headers)

        ask()
    return count


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["positive", "negative"])
def test_made_up_requests(server: Whole, mode: GenerationMode, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # the library keeps what it has seen in the working directory
    assert search(server, 4, mode) >= 15 * 3


@pytest.mark.slow
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["positive", "negative"])
def test_many_made_up_requests(
    server: Whole, mode: GenerationMode, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    examples = int(os.environ.get("BIMEDIX2_FUZZ_EXAMPLES", "60"))
    assert search(server, examples, mode) > examples * 10
