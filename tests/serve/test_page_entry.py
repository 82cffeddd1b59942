"""Coming in through an organisation's sign-in, and the whole page with nothing but a keyboard."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import page_browser as pb
import pytest
from api_server import running
from oidc_server import provider

from bimedix2.serve.engines.echo import EchoEngine


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    program = pb.browser_program()
    with pb.chromium.Browser(program, tmp_path_factory.mktemp("profile")) as opened:
        pb.size(opened, 1280)
        yield opened


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


@pytest.mark.parametrize("language", ["en", "ar"])
def test_a_person_signs_in_and_out(
    browser: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, language: str
) -> None:
    monkeypatch.setenv("OUR_SECRET", "secret of ours")
    file = tmp_path / "oidc.yaml"
    with provider() as issuer:
        file.write_text(
            f"issuer: {issuer.issuer}\nclient_id: bimedix2\nclient_secret_variable: OUR_SECRET\n"
            "allow: ['@hospital.example']\n"
        )
        with running(tmp_path / "s", EchoEngine(), oidc=file, port=free_port()) as server:
            browser.open(f"{server.url}/health")
            browser.run("localStorage.clear(); sessionStorage.clear();"
                        f"localStorage.setItem('bimedix2-settings', '{{\"language\": \"{language}\"}}')")  # fmt: skip
            browser.open(f"{server.url}/")
            pb.wait(browser, "document.getElementById('entry').open && !document.getElementById('sign-in').hidden")
            said = browser.run("document.getElementById('sign-in').textContent")
            assert said == {"en": "Sign in with your organisation", "ar": "تسجيل الدخول بحساب مؤسستك"}[language]
            browser.run("document.getElementById('sign-in').click()")
            pb.wait(browser, "document.getElementById('gate')?.open === true")
            browser.run("document.getElementById('gate-yes').click()")
            pb.wait(browser, "document.body.dataset.ready === 'yes'")
            pb.ask(browser, "BI-RADS 4?")
            assert "BI-RADS 4?" in browser.run("document.querySelector('.answer .text').textContent")
            assert browser.run("document.cookie") == ""  # no script can read the session
            browser.run("document.getElementById('settings-open').click(); document.getElementById('leave').click()")
            pb.wait(browser, "document.getElementById('entry')?.open === true && !document.querySelector('.message')")
            assert browser.run("fetch('/v1/models').then((r) => r.status)") == 401


def tab_to(browser: Any, selector: str, back: bool = False) -> None:
    """Go on with the tabulator to an element; each stop on the way can be seen."""
    for _ in range(40):
        pb.press(browser, "Tab", 8 if back else 0)
        assert browser.run(
            "(() => { const e = document.activeElement;"
            "const at = e.matches('.modes input') ? e.nextElementSibling : e;"
            "return e === document.body || parseFloat(getComputedStyle(at).outlineWidth) >= 2; })()"
        ), browser.run("document.activeElement.outerHTML.slice(0, 200)")
        if browser.run(f"document.activeElement.matches({selector!r})"):
            return
    raise AssertionError(selector)


@pytest.mark.parametrize("language", ["en", "ar"])
def test_a_walk_with_the_keyboard_alone(browser: Any, tmp_path: Path, language: str) -> None:
    file = pb.dicom_file(tmp_path / "ct.dcm")
    with running(tmp_path / "s", EchoEngine()) as server:
        pb.enter(browser, server, language, accept=False)
        pb.press(browser, "Enter")
        pb.wait(browser, "document.activeElement.id === 'question'")
        browser.call("Page.setInterceptFileChooserDialog", enabled=True)
        tab_to(browser, "#attach")
        pb.press(browser, "Enter")
        assert server.until(lambda: browser.run("true") and browser.told("Page.fileChooserOpened"))
        node = browser.told("Page.fileChooserOpened")[-1]["backendNodeId"]
        browser.call("DOM.setFileInputFiles", files=[str(file)], backendNodeId=node)
        pb.wait(browser, "document.querySelectorAll('#tray .thumb img').length === 1")
        tab_to(browser, "#tray .thumb", back=True)
        pb.press(browser, "Enter")
        pb.wait(browser, "document.activeElement.id === 'canvas' && "
                         "document.getElementById('viewer-now').textContent !== ''")  # fmt: skip
        pb.press(browser, "ArrowUp", 8)
        tab_to(browser, "#use")
        pb.press(browser, "Enter")
        pb.wait(browser, "!document.getElementById('viewer').open && document.querySelector('#tray .view')"
                         ".textContent.includes('65')")  # 40 and ten steps of 2.52  # fmt: skip
        tab_to(browser, "#question")
        browser.call("Input.insertText", text="BI-RADS 4?")
        pb.press(browser, "Enter")
        pb.wait(browser, "document.querySelector('.answer .text')?.textContent.includes('BI-RADS 4?')")
        pb.wait(browser, "document.getElementById('send').dataset.t === 'send'")
        tab_to(browser, ".answer .actions button", back=True)
        pb.wait(browser, "document.querySelectorAll('#conversations .entry').length === 1")
        tab_to(browser, "#conversations .entry", back=True)
        pb.press(browser, "Enter")
        pb.wait(browser, "document.querySelectorAll('.message').length === 2")
        tab_to(browser, "#settings-open", back=True)
        pb.press(browser, "Enter")
        pb.wait(browser, "document.getElementById('settings').open")
        tab_to(browser, "#settings-close")
        pb.press(browser, "Escape")
        pb.wait(browser, "!document.getElementById('settings').open && document.activeElement.id === 'settings-open'")
