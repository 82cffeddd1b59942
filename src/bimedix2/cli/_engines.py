"""What answers an evaluation: a model in this process, or a server. Chosen here from the command's options."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bimedix2.errors import ConfigError

if TYPE_CHECKING:
    from bimedix2.evaluate.engines.endpoint import Endpoint, EndpointEngine, Usage
    from bimedix2.evaluate.engines.local import LocalEngine
    from bimedix2.evaluate.schema import Engine

DEFAULT_KEY = "OPENAI_API_KEY"
USAGE = "usage.json"
_HERE = frozenset({"localhost", "127.0.0.1", "::1"})

Address = Annotated[str, typer.Option(help="Ask an OpenAI-compatible server, such as http://127.0.0.1:8000/v1.")]
KeyVariable = Annotated[str, typer.Option("--api-key-env", help="Environment variable that holds its key.")]
Concurrency = Annotated[int, typer.Option(help="Requests to the server at once.", min=1, max=256)]
Timeout = Annotated[float, typer.Option(help="Seconds that one request may take.", min=1)]
PriceIn = Annotated[float | None, typer.Option(help="Price of a million prompt tokens.", min=0)]
PriceOut = Annotated[float | None, typer.Option(help="Price of a million reply tokens.", min=0)]
Budget = Annotated[float | None, typer.Option(help="Most that --out may cost, earlier calls counted.", min=0)]
Body = Annotated[str, typer.Option("--body", help="JSON object with further request fields; null removes one.")]
SystemRole = Annotated[bool, typer.Option(help="Send a system message; not every model's template has one.")]


@dataclass(frozen=True)
class Server:
    """Options of ``--endpoint``, as they are on the command line."""

    address: str
    key_variable: str = DEFAULT_KEY
    concurrency: int = 8
    timeout: float = 120
    price_in: float | None = None
    price_out: float | None = None
    budget: float | None = None
    body: str = ""
    system: bool = True


def engine_of(model: str, adapter: Path | None, server: Server, out: Path) -> Engine:
    """The server's model where an address is given, else one in this process."""
    return server_engine(model, adapter, server, out) if server.address else local_engine(model, adapter)


def local_engine(model: str, adapter: Path | None) -> LocalEngine:
    """A model in this process; it is loaded when the first reply is needed."""
    from bimedix2.evaluate.engines.local import LocalEngine

    from .ask import load_assistant
    from .evaluate import identity

    return LocalEngine(model, identity(model, adapter), lambda: load_assistant(model, adapter))


def server_engine(model: str, adapter: Path | None, server: Server, out: Path) -> EndpointEngine:
    """A model behind a server; usage of earlier calls in the same folder is added to.

    Raises:
        ConfigError: an option cannot be used, or an adapter is given.
    """
    from bimedix2.evaluate.engines.endpoint import EndpointEngine

    if adapter is not None:
        raise ConfigError(
            "--adapter goes with a model in this process. Give the server its adapter when you start it.",
            "الخيار --adapter للنماذج المحملة محليا. حمل المهايئ عند تشغيل الخادم.",
        )
    file = out / USAGE
    endpoint = server_endpoint(model, server, spent_in(file))
    return EndpointEngine(endpoint, concurrency=server.concurrency, system=server.system, usage_file=file)


def server_endpoint(model: str, server: Server, spent: Usage | None = None) -> Endpoint:
    """The client of a server, with the key that the environment holds now.

    Raises:
        ConfigError: an option cannot be used, or the variable that was named is not set.
    """
    from bimedix2.evaluate.engines.endpoint import Endpoint, Price

    price = None
    if server.price_in is not None or server.price_out is not None:
        price = Price(server.price_in or 0.0, server.price_out or 0.0)
    key = os.environ.get(server.key_variable, "")
    if not key and server.key_variable != DEFAULT_KEY:
        raise ConfigError(
            f"The environment variable {server.key_variable} (--api-key-env) is not set. Set it to the API key.",
            f"متغير البيئة {server.key_variable} (--api-key-env) غير مضبوط. ضع فيه مفتاح الواجهة.",
        )
    endpoint = Endpoint(
        server.address,
        model,
        api_key=key,
        timeout_s=server.timeout,
        price=price,
        budget=server.budget,
        extra=_body(server.body),
        spent=spent,
    )
    if key:
        _warn_in_the_clear(endpoint.base_url)
    return endpoint


def spent_in(file: Path) -> Usage | None:
    """Totals of earlier calls.

    Raises:
        ConfigError: the file is damaged; a budget must not start again from 0 unseen.
    """
    import msgspec

    from bimedix2.evaluate.engines.endpoint import Usage

    if not file.is_file():
        return None
    try:
        return msgspec.json.decode(file.read_bytes(), type=Usage)
    except (OSError, msgspec.DecodeError) as error:
        raise ConfigError(
            f"{file} cannot be read ({error}). Delete it to count usage from 0; replies are not in it.",
            f"تعذرت قراءة {file} ({error}). احذفه ليبدأ حساب الاستخدام من الصفر؛ لا إجابات فيه.",
        ) from error


def usage_of(engine: Engine) -> Usage | None:
    """Totals of an engine that counts them, earlier calls in the folder included."""
    endpoint: Endpoint | None = getattr(engine, "endpoint", None)
    return endpoint.usage if endpoint is not None else None


def as_json(usage: Usage | None) -> dict[str, Any] | None:
    """Totals as a plain object."""
    import msgspec

    return None if usage is None else dict(msgspec.to_builtins(usage))


def usage_line(usage: Usage) -> tuple[str, str]:
    """Totals in one line, in English and Arabic."""
    counts = (usage.requests, usage.retries, usage.prompt_tokens, usage.completion_tokens)
    english = "usage: {} requests, {} retries, {} prompt + {} reply tokens".format(*counts)
    arabic = "الاستخدام: {} طلبا، {} إعادة، {} رمزا في الأسئلة + {} في الإجابات".format(*counts)
    if usage.cost:
        english, arabic = f"{english}, cost {usage.cost:.4f}", f"{arabic}، الكلفة {usage.cost:.4f}"
    if usage.uncounted:
        english += f"; {usage.uncounted} calls without a count, taken at the most they can cost"
        arabic += f"؛ {usage.uncounted} طلبا بلا عدد، حسبت بأعلى كلفة ممكنة"
    return english, arabic


def _body(text: str) -> dict[str, Any]:
    try:
        fields = json.loads(text or "{}")
    except ValueError:
        fields = None
    if not isinstance(fields, dict) or {"messages", "model", "stream", "n"} & fields.keys():
        raise ConfigError(
            f"--body {text!r} is not a JSON object of request fields, such as "
            '\'{"reasoning_effort": "low"}\'; messages, model, stream and n are not for it.',
            f"القيمة {text!r} للخيار --body ليست كائن JSON لحقول الطلب، مثل "
            '\'{"reasoning_effort": "low"}\'؛ ولا تقبل messages وmodel وstream وn.',
        )
    return fields


def _warn_in_the_clear(address: str) -> None:
    from urllib.parse import urlsplit

    from ._terminal import tell

    parts = urlsplit(address)
    if parts.scheme == "http" and parts.hostname not in _HERE:
        tell(
            f"! the API key travels unencrypted to {parts.hostname}; use https if it can",
            f"! يرسل مفتاح الواجهة إلى {parts.hostname} بلا تشفير؛ استخدم https إن أمكن",
        )
