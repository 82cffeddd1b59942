"""Settings of a server and of a run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

import msgspec
import yaml

from bimedix2.endpoint.price import Price
from bimedix2.endpoint.settings import check_price, checked_url
from bimedix2.errors import ConfigError

DEFAULT_KEY = "OPENAI_API_KEY"
ReplyFormat = Literal["json_schema", "json_object", "none"]


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """A model behind an OpenAI-compatible address.

    Attributes:
        address: up to and including ``/v1``.
        model: name that the server knows it by.
        key_variable: environment variable that holds the API key; its value is sent and kept nowhere.
        timeout_s: most seconds that one attempt may take.
        retries: further attempts after the first, where a failure may pass by itself.
        requests_per_minute, tokens_per_minute: ``None`` sets no limit.
        price: of tokens; ``None`` counts no cost.
        temperature, seed: of sampling; a variant of a row adds its number to the seed.
        reply_format: how the server is asked for JSON; the reply is checked whatever it is.
        tokens_field: name of the field for the longest reply; newer OpenAI models want ``max_completion_tokens``.
        extra: further fields of every request; they override, and ``None`` removes one.
    """

    address: str
    model: str
    key_variable: str = DEFAULT_KEY
    timeout_s: float = 120.0
    retries: int = 6
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    price: Price | None = None
    temperature: float = 0.0
    seed: int | None = 0
    reply_format: ReplyFormat = "json_schema"
    tokens_field: str = "max_tokens"
    extra: dict[str, Any] = {}

    @property
    def fingerprint(self) -> str:
        """What replies depend on: the model and how it is asked, not where it runs."""
        parts = (self.model, self.temperature, self.seed, self.reply_format, self.tokens_field, self.extra)
        return msgspec.json.encode(parts, order="sorted").decode()

    def checked(self, budget: float | None = None) -> Server:
        """The same with a tidy address.

        Raises:
            ConfigError: a value cannot be used.
        """
        check_price(self.price, budget)
        rates = (self.requests_per_minute, self.tokens_per_minute)
        if not all(rate is None or rate > 0 for rate in rates) or self.timeout_s <= 0 or self.retries < 0:
            raise ConfigError(
                "Rates and the timeout must be above 0, and retries 0 or more.",
                "يجب أن تكون المعدلات والمهلة أكبر من صفر وعدد المحاولات صفرا أو أكثر.",
            )
        return msgspec.structs.replace(self, address=checked_url(self.address))

    def key(self) -> str:
        """The API key from the environment; empty where the usual variable is not set.

        Raises:
            ConfigError: a variable that was named is not set.
        """
        found = os.environ.get(self.key_variable, "")
        if not found and self.key_variable != DEFAULT_KEY:
            raise ConfigError(
                f"The environment variable {self.key_variable} (--api-key-env) is not set. Set it to the API key.",
                f"متغير البيئة {self.key_variable} (--api-key-env) غير مضبوط. ضع فيه مفتاح الواجهة.",
            )
        return found


class RunSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How a step is run.

    Attributes:
        concurrency: rows under way at once, each with one request at most.
        repairs: times that a reply of the wrong form goes back with the fault.
        variants: outcomes of each row, told apart by the seed.
        budget: most that the workspace may cost, earlier runs counted.
        limit: rows to start at most; ``None`` for all.
        retry: reasons of quarantine that are tried again; ``all`` for any.
        accept_models: names that a server may answer under, beside the first.
        give_up_after: rows in a row that fail on the way to the server before the run ends.
    """

    concurrency: int = 16
    repairs: int = 2
    variants: int = 1
    budget: float | None = None
    limit: int | None = None
    retry: tuple[str, ...] = ()
    accept_models: tuple[str, ...] = ()
    give_up_after: int = 5


def read_prices(path: Path) -> dict[str, Price]:
    """A price table: YAML with ``MODEL: {prompt: …, completion: …}``, per million tokens.

    Raises:
        ConfigError: it cannot be read, or has other fields.
    """
    try:
        table = msgspec.convert(yaml.safe_load(path.read_text(encoding="utf-8")), dict[str, Price])
    except (OSError, UnicodeDecodeError, yaml.YAMLError, msgspec.ValidationError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError(
            f"The price table {path} cannot be used ({reason}). Write MODEL: {{prompt: 2.5, completion: 10}}.",
            f"تعذر استخدام جدول الأسعار {path} ({reason}). اكتب MODEL: {{prompt: 2.5, completion: 10}}.",
        ) from error
    for price in table.values():
        check_price(price, None)
    return table
