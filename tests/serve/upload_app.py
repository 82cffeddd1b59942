"""Upload routes alone, with the real store and the real decoding children; who asks is a header."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.testclient import TestClient
from PIL import Image

from bimedix2.serve.errors import ServeError
from bimedix2.serve.principal import Principal
from bimedix2.serve.settings import ServeSettings
from bimedix2.serve.store.database import Database
from bimedix2.serve.uploads.routes import uploads_router
from bimedix2.serve.uploads.service import Uploads

sys.path.insert(0, str(Path(__file__).parents[1] / "images"))


class Clock:
    """A wall clock that tests set."""

    def __init__(self) -> None:
        import time

        self.now = time.time()

    def wall(self) -> float:
        return self.now

    def steady(self) -> float:
        return self.now


def who(request: Request) -> Principal:
    return Principal(request.headers.get("x-owner", "anna"), frozenset({"chat"}))


@contextmanager
def upload_client(folder: Path, clock: Clock | None = None, **settings: Any) -> Iterator[TestClient]:
    """A client whose ``app.state.uploads`` is the service."""
    database = Database(folder)
    uploads = Uploads(ServeSettings(data=folder, **settings), database, clock=clock or Clock())
    app = FastAPI()
    app.state.uploads = uploads
    app.include_router(uploads_router(uploads, who))

    @app.exception_handler(ServeError)
    async def named(_: Request, error: ServeError) -> JSONResponse:
        body = {"code": error.code, "message": error.message, "message_ar": error.message_ar, "param": error.param}
        return JSONResponse({"error": body}, error.status)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        return JSONResponse({"error": {"code": "invalid"}}, 422)

    with TestClient(app, raise_server_exceptions=False) as client:
        yield client
    uploads.close()
    database.close()


def send(client: TestClient, data: bytes, name: str = "scan.dcm", **headers: str) -> Any:
    return client.post("/v1/uploads", files={"file": (name, data)}, headers=headers)


def pixels_of(response: Any) -> np.ndarray:
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "image/png"
    return np.asarray(Image.open(io.BytesIO(response.content)).convert("RGB"))
