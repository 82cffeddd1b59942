"""The page's files: how they are sent, that both languages are whole, that no style names left or right."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from api_server import Running, running

from bimedix2.serve.engines.echo import EchoEngine

STATIC = Path(__file__).resolve().parents[2] / "src" / "bimedix2" / "serve" / "page" / "static"
ARABIC_FORMS = {"zero", "one", "two", "few", "many", "other"}  # of CLDR
# Of the screen's edges, which do not turn with the language.
PHYSICAL = {"env(safe-area-inset-right)", "env(safe-area-inset-left)"}


def texts(language: str) -> dict[str, str | dict[str, str]]:
    return dict(json.loads((STATIC / "strings" / f"{language}.json").read_text(encoding="utf-8")))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory):
    with running(tmp_path_factory.mktemp("files"), EchoEngine()) as found:
        yield found


def test_files_have_their_type_a_tag_and_a_year(server: Running) -> None:
    page = server.client.get("/")
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["cache-control"] in ("no-cache", "no-store")
    asked = re.findall(r'(?:src|href)="(/assets/[^"]+)"', page.text)
    kinds = {"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}
    assert {path.rpartition(".")[2] for path in asked} == set(kinds)
    for path in asked:
        found = server.client.get(path)
        assert found.headers["content-type"].startswith(kinds[path.rpartition(".")[2]])
        assert "immutable" in found.headers["cache-control"]
        again = server.client.get(path, headers={"If-None-Match": found.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("path", ["/assets/x/app.js", "/assets/../routes.py", "/assets/x/%2e%2e/routes.py"])
def test_other_files_are_not_there(server: Running, path: str) -> None:
    assert server.client.get(path).status_code in (400, 401, 404)


def test_no_script_or_style_stands_in_the_page() -> None:
    page = (STATIC / "index.html").read_text(encoding="utf-8")
    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:|https?://", page)
    assert re.findall(r"<script[^>]*>(.*?)</script>", page, re.DOTALL) == [""]
    for file in [*STATIC.glob("*.js"), *STATIC.glob("*.css")]:
        text = file.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?://|innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", text), (
            file.name
        )


def test_both_languages_have_the_same_texts_and_places() -> None:
    english, arabic = texts("en"), texts("ar")
    assert english.keys() == arabic.keys()
    for key in english:
        one, other = english[key], arabic[key]
        assert isinstance(one, str) == isinstance(other, str), key
        if isinstance(one, str) and isinstance(other, str):
            assert one.strip()
            assert sorted(re.findall(r"\{\w+\}", one)) == sorted(re.findall(r"\{\w+\}", other)), key
        else:
            assert set(one) == {"one", "other"}
            assert set(other) == ARABIC_FORMS


def test_every_text_that_the_page_asks_for_is_there() -> None:
    english = texts("en")
    page = (STATIC / "index.html").read_text(encoding="utf-8")
    wanted = set(re.findall(r'data-(?:t|label|hint|tip)="(\w+)"', page))
    for file in STATIC.glob("*.js"):
        wanted |= set(re.findall(r'\bt\("(\w+)"', file.read_text(encoding="utf-8")))
    assert wanted
    assert wanted <= english.keys()


def test_styles_name_no_side() -> None:
    for file in STATIC.glob("*.css"):
        text = file.read_text(encoding="utf-8")
        for allowed in PHYSICAL:
            text = text.replace(allowed, "")
        assert re.findall(r"\b(?:left|right)\b", text) == [], file.name
