"""The sides of ``serve_pages.py``: our page, Gradio's chat, Open WebUI before our server."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from serve_pages_browser import LINES, chromium, free_port, order, send, served, size, violations, visit, wait

GRADIO = """
import sys
import gradio as gr
rtl = sys.argv[2] == "rtl"
gr.ChatInterface(lambda message, history: "سألت: " + message, chatbot=gr.Chatbot(rtl=rtl)).launch(
    server_name="127.0.0.1", server_port=int(sys.argv[1]), quiet=True)
"""
OURS = [str(Path(sys.executable).with_name("bimedix2")), "serve", "--engine", "echo", "--port"]
# Open WebUI without accounts and without what would need the network.
OPEN_WEBUI = {
    "WEBUI_AUTH": "False", "WEBUI_SECRET_KEY": "benchmark", "OFFLINE_MODE": "True", "HF_HUB_OFFLINE": "1",
    "ENABLE_OLLAMA_API": "False", "OPENAI_API_KEY": "none", "RAG_EMBEDDING_ENGINE": "openai",
    "ENABLE_TITLE_GENERATION": "False", "ENABLE_TAGS_GENERATION": "False", "ENABLE_FOLLOW_UP_GENERATION": "False",
    "ENABLE_AUTOCOMPLETE_GENERATION": "False", "ANONYMIZED_TELEMETRY": "false", "DO_NOT_TRACK": "true",
}  # fmt: skip


def ours(program: str, axe: str, folder: str) -> dict[str, Any]:
    """All figures of our page."""
    port = free_port()
    with (
        served([*OURS, str(port), "--data", f"{folder}/data"], port, folder) as url,
        chromium.Browser(program, Path(folder) / "profile") as browser,
    ):
        size(browser)
        result: dict[str, Any] = visit(browser, url, "document.getElementById('gate')?.open === true")
        browser.run("document.getElementById('gate-yes').click()")
        wait(browser, "document.body.dataset.ready === 'yes'")
        browser.run("document.getElementById('language').click()")
        result["axe"] = violations(browser, axe)
        browser.run("document.getElementById('question').focus()")
        send(browser)
        wait(browser, "document.getElementById('send').dataset.t === 'send' && !!document.querySelector('.answer')")
        return {**result, "order": order(browser, ".answer"), "axe_chat": violations(browser, axe)}


def gradio(python: str, rtl: bool, program: str, axe: str, folder: str) -> dict[str, Any]:
    """All figures of Gradio's chat."""
    port = free_port()
    script = Path(folder) / "app.py"
    script.write_text(GRADIO, encoding="utf-8")
    command = [python, str(script), str(port), "rtl" if rtl else "ltr"]
    with (
        served(command, port, folder, GRADIO_ANALYTICS_ENABLED="False") as url,
        chromium.Browser(program, Path(folder) / "profile") as browser,
    ):
        size(browser)
        result: dict[str, Any] = visit(browser, url, "!!document.querySelector('textarea')")
        result["axe"] = violations(browser, axe)
        browser.run("document.querySelector('textarea').focus()")
        send(browser)
        last = json.dumps(LINES[-1])
        wait(browser, f"[...document.querySelectorAll('.bot p')].some((p) => p.textContent.trim() === {last})")
        time.sleep(2)
        return {**result, "order": order(browser, ".bot"), "axe_chat": violations(browser, axe)}


def open_webui(command: str, program: str, axe: str, folder: str) -> dict[str, Any]:
    """All figures of Open WebUI, whose model is our server with the echo engine.

    Args:
        command: its ``open-webui``.
    """
    behind, port = free_port(), free_port()
    environment = OPEN_WEBUI | {
        "DATA_DIR": f"{folder}/webui",
        "OPENAI_API_BASE_URL": f"http://127.0.0.1:{behind}/v1",
    }
    with (
        served([*OURS, str(behind), "--data", f"{folder}/data"], behind, folder),
        served([command, "serve", "--host", "127.0.0.1", "--port", str(port)], port, folder, **environment) as url,
        chromium.Browser(program, Path(folder) / "profile") as browser,
    ):
        size(browser)
        result: dict[str, Any] = visit(browser, url, "!!document.querySelector('#chat-input')")
        news = "[...document.querySelectorAll('button')].find((one) => one.textContent.includes('Okay'))"
        browser.run(f"{news}?.click()")
        wait(browser, f"!{news}")
        time.sleep(1)
        result["axe"] = violations(browser, axe)
        browser.run("document.querySelector('#chat-input').focus()")
        send(browser)
        answer, last = "#response-content-container", json.dumps(LINES[-1])
        wait(browser, f"[...document.querySelectorAll('{answer} p')].some((p) => p.textContent.trim() === {last})")
        time.sleep(2)
        return {**result, "order": order(browser, answer), "axe_chat": violations(browser, axe)}
