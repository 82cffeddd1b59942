"""Checks of what an endpoint is given, before anything is sent."""

from __future__ import annotations

import math
import time
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from bimedix2.errors import ConfigError

from .price import Price

MAX_WAIT_S = 60.0


def checked_url(text: str) -> str:
    """The address without a slash at its end.

    Raises:
        ConfigError: it is not one, or holds more than it should.
    """
    try:
        parts = urlsplit(text.strip())
        good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        good = False
    if not good or "@" in parts.netloc or parts.query or parts.fragment:
        # The text is not repeated: it may hold a key.
        raise ConfigError(
            "The endpoint is not an address such as http://127.0.0.1:8000/v1. Give it without user name, password or "
            "query; the key goes into an environment variable.",
            "عنوان الخادم ليس مثل http://127.0.0.1:8000/v1. أعطه بلا اسم مستخدم أو كلمة مرور أو استعلام، "
            "وضع المفتاح في متغير بيئة.",
        )
    return parts.geturl().rstrip("/")


def checked_key(text: str) -> str:
    """The key without blanks around it.

    Raises:
        ConfigError: it cannot stand in a header.
    """
    key = text.strip()
    if key and not (key.isascii() and key.isprintable()):
        raise ConfigError(
            "The API key holds characters that no key has, such as a line break. Set the environment variable again.",
            "يحتوي مفتاح الواجهة على محارف لا تظهر في المفاتيح مثل فاصل الأسطر. اضبط متغير البيئة من جديد.",
        )
    return key


def check_price(price: Price | None, budget: float | None) -> None:
    """See that prices and budget are sums of money, and that a budget comes with prices.

    Raises:
        ConfigError: they are not.
    """
    values = [] if price is None else [price.prompt, price.completion]
    values += [] if budget is None else [budget]
    if not all(math.isfinite(value) and value >= 0 for value in values):
        raise ConfigError(
            "Prices and the budget must be numbers of 0 or more.", "يجب أن تكون الأسعار والميزانية أعدادا غير سالبة."
        )
    if budget is not None and price is None:
        raise ConfigError(
            "A budget needs the price of the model: give --price-in and --price-out, per million tokens.",
            "تحتاج الميزانية إلى سعر النموذج: أعط --price-in و --price-out لكل مليون رمز.",
        )


def retry_after(text: str) -> float:
    """Seconds that a ``Retry-After`` header asks for, in either of its forms, up to a minute; 0 if unreadable."""
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(text).timestamp() - time.time()
        except (ValueError, TypeError, OverflowError):
            return 0.0
    return min(max(seconds, 0.0), MAX_WAIT_S) if math.isfinite(seconds) else 0.0


def without_key(data: bytes, key: str) -> bytes:
    """A body without the key: servers like to quote the one that they refuse."""
    if not key:
        return data
    escaped = key.replace("/", "\\/")  # as some write JSON
    return data.replace(key.encode(), b"***").replace(escaped.encode(), b"***")
