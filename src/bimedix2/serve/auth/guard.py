"""The guard at the door: who asks, and whether there is room and quota for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from bimedix2.errors import ConfigError
from bimedix2.serve.auth.clock import SYSTEM_CLOCK, Clock
from bimedix2.serve.auth.errors import BusyKeyError, CrossSiteError, ScopeError, TooManyError, UnauthorizedError
from bimedix2.serve.auth.keys import KeyStore, Tables
from bimedix2.serve.auth.places import open_to_all_here
from bimedix2.serve.auth.quotas import Quotas, Spend
from bimedix2.serve.auth.rates import Buckets, bucket_of
from bimedix2.serve.auth.sessions import Sessions
from bimedix2.serve.principal import LOCAL, LOCAL_PRINCIPAL, Principal
from bimedix2.serve.settings import ServeSettings

if TYPE_CHECKING:
    from starlette.requests import Request

COOKIE = "bimedix2_session"
SECURE_COOKIE = "__Host-bimedix2_session"  # browsers take this name only with Secure, for one host, over https
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_LONGEST_CREDENTIAL = 512
_BUSY_RETRY = 2.0
_PEOPLE = "person:"


class Guard:
    """Tells who asks and bounds what they may take. For one event loop.

    Whoever sits at a loopback server without keys is not bounded here: the engine's queue does that.

    Args:
        settings: where the server listens, and its limits.
        database: the server's.
        clock: replaceable in tests.
    """

    def __init__(self, settings: ServeSettings, database: Tables, clock: Clock = SYSTEM_CLOCK) -> None:
        self.settings = settings
        self.keys = KeyStore(database, clock)
        self.sessions = Sessions(database, clock)
        self.quotas = Quotas(database, clock)
        per_minute = settings.limits.requests_per_minute
        self._by_owner, self._by_address = Buckets(per_minute, clock), Buckets(per_minute, clock)
        self._under_way: Counter[str] = Counter()

    def require_safe(self) -> None:
        """Refuse to start where others can reach the server and nothing would ask who they are.

        Raises:
            ConfigError: ``keys_needed``.
        """
        if open_to_all_here(self.settings) or self.settings.oidc is not None or self.keys.any():
            return
        raise ConfigError(
            f"The server would be open to everybody who reaches {self.settings.host}. "
            "Make a key with `bimedix2 keys create`, set up a sign-in (--oidc), or listen on 127.0.0.1.",
            "سيكون الخادم مفتوحا لكل من يصل إليه. أنشئ مفتاحا بالأمر `bimedix2 keys create`، "
            "أو أعد تسجيل الدخول (--oidc)، أو استمع على 127.0.0.1.",
            code="keys_needed",
        )

    async def authenticate(self, request: Request) -> Principal:
        """Who asks: the holder of a bearer key or of a session, or the one person of a loopback server without keys.

        A key in the query string is not looked at. The principal is left in ``request.state.principal`` for the log.

        Raises:
            UnauthorizedError: neither a valid key nor a session; the same answer for every reason.
            CrossSiteError: a session's cookie on a request that changes something, without a sign of our own page.
            TooManyError: the address has shown too many wrong keys.
            StorageError: the database cannot be read.
        """
        principal = self._by_key(request) if "authorization" in request.headers else self._without_key(request)
        if principal is None:
            self.count_stranger(address_of(request))
            raise UnauthorizedError
        request.state.principal = principal
        return principal

    def require(self, principal: Principal, scope: str) -> None:
        """Raise ``ScopeError`` unless ``principal`` has ``scope``."""
        if scope not in principal.scopes:
            raise ScopeError(scope)

    @contextmanager
    def admit(self, principal: Principal, address: str, *, tokens: int = 0, images: int = 0) -> Iterator[None]:
        """A place for one answer, held while the context is open.

        Args:
            principal: who asks.
            address: from where, as ``address_of`` says.
            tokens, images: at most what the answer will take of the day's quota; set aside meanwhile.

        Raises:
            TooManyError: too many requests a minute.
            BusyKeyError: too many answers at a time.
            QuotaError: the day's quota is used up.
        """
        self.rate(principal, address)
        owner, wanted = principal.owner, Spend(tokens, images)
        if owner == LOCAL:
            yield
            return
        allowed = self.settings.limits.per_key
        if allowed and self._under_way[owner] >= allowed:
            raise BusyKeyError(allowed, _BUSY_RETRY)
        self.quotas.hold(owner, wanted, self._bound(owner))
        self._under_way[owner] += 1
        try:
            yield
        finally:
            self.quotas.release(owner, wanted)
            self._under_way[owner] -= 1
            if not self._under_way[owner]:
                del self._under_way[owner]

    def rate(self, principal: Principal, address: str) -> None:
        """Count one request of the key and of the address.

        Raises:
            TooManyError: more a minute than the limits say.
        """
        if principal.owner == LOCAL:
            return
        wait = self._by_owner.take(principal.owner) or self._by_address.take(bucket_of(address))
        if wait:
            raise TooManyError(wait)

    def charge(self, principal: Principal, tokens: int, images: int) -> None:
        """Count what an answer took, also one that was stopped half way.

        Raises:
            StorageError: it cannot be written.
        """
        if principal.owner != LOCAL and (tokens or images):
            self.quotas.charge(principal.owner, Spend(tokens, images))

    def _by_key(self, request: Request) -> Principal | None:
        values = request.headers.getlist("authorization")
        scheme, _, secret = values[0].strip().partition(" ")
        # Every request with a header takes the same steps, whatever is wrong with it.
        usable = len(values) == 1 and scheme.lower() == "bearer" and len(secret) <= _LONGEST_CREDENTIAL
        key = self.keys.find(secret.strip() if usable else "")
        # OpenAI's clients cannot leave the key out, so where there are no keys a made-up one does no harm.
        return self._anybody() if key is None else key.principal()

    def _without_key(self, request: Request) -> Principal | None:
        token = request.cookies.get(SECURE_COOKIE) or request.cookies.get(COOKIE)
        if token and (principal := self.sessions.find(token[:_LONGEST_CREDENTIAL])) is not None:
            if request.method not in _SAFE_METHODS and not _from_own_page(request):
                raise CrossSiteError
            return principal
        return self._anybody()

    def _anybody(self) -> Principal | None:
        """The one person of a loopback server on which no key was ever made."""
        return LOCAL_PRINCIPAL if open_to_all_here(self.settings) and not self.keys.any() else None

    def count_stranger(self, address: str) -> None:
        """Count a request of somebody not known: a wrong key, or a step of a sign-in.

        Raises:
            TooManyError: more a minute than the limits say.
        """
        wait = self._by_address.take(bucket_of(address))
        if wait:
            raise TooManyError(wait)

    def _bound(self, owner: str) -> Spend:
        limits = self.settings.limits
        key = None if owner.startswith(_PEOPLE) else self.keys.get(owner)
        tokens = limits.tokens_per_day if key is None or key.tokens_per_day is None else key.tokens_per_day
        images = limits.images_per_day if key is None or key.images_per_day is None else key.images_per_day
        return Spend(tokens, images)


def address_of(request: Request) -> str:
    """Address that a request comes from; a proxy's header counts only where uvicorn was told to trust the proxy."""
    return request.client.host if request.client is not None else ""


def _from_own_page(request: Request) -> bool:
    """Whether the browser says that our page asks; ``origin.py`` has already refused a foreign Origin."""
    return request.headers.get("sec-fetch-site") == "same-origin" or "origin" in request.headers
