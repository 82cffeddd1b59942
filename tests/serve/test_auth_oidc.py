"""Sign-in against a real provider: the whole way, every lie that an ID token can tell, and sessions."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from joserfc.jwk import OctKey, RSAKey
from oidc_server import Provider, provider
from security_tools import serving

from bimedix2.errors import ConfigError
from bimedix2.serve.auth.oidc import SignIn
from bimedix2.serve.auth.oidc_settings import OIDCSettings, load_oidc

OURS = "http://127.0.0.1:8000"


@pytest.fixture(scope="module")
def issuer():
    with provider() as found:
        yield found


@pytest.fixture
def sign_in(issuer: Provider, tmp_path: Path, monkeypatch):
    """A server with a sign-in, and a provider that tells the truth."""
    monkeypatch.setenv("OUR_SECRET", "secret of ours")
    fresh = Provider()
    issuer.claims, issuer.forge, issuer.person = {}, None, dict(fresh.person)
    issuer.published = [issuer.key]
    file = tmp_path / "oidc.yaml"
    file.write_text(
        f"issuer: {issuer.issuer}\nclient_id: bimedix2\nclient_secret_variable: OUR_SECRET\n"
        "allow: ['@hospital.example']\nadmins: [chief@hospital.example]\n"
    )
    with serving(tmp_path / "d", oidc=file) as server:
        yield server


def go(server, follow: str | None = None):
    """As a browser: to the provider, and back with what it says."""
    start = server.client.get("/auth/login", follow_redirects=False)
    assert start.status_code == 303, start.text
    back = httpx.get(start.headers["location"]).headers["location"]
    assert back.startswith(f"{OURS}/auth/callback?")
    return server.client.get(follow or back.removeprefix(OURS), follow_redirects=False)


def test_the_whole_way(sign_in, issuer) -> None:
    assert sign_in.client.get("/v1/models").status_code == 401
    before = sign_in.client.get("/api/session").json()
    assert before["owner_kind"] is None and before["sign_in"] == "/auth/login"
    reply = go(sign_in)
    assert reply.status_code == 303 and reply.headers["location"] == "/"
    cookies = {value.split("=")[0]: value for value in reply.headers.get_list("set-cookie")}
    session = cookies["bimedix2_session"]
    assert "HttpOnly" in session and "SameSite=lax" in session and "Path=/" in session and "Domain" not in session
    assert 'bimedix2_sign_in=""' in cookies["bimedix2_sign_in"]
    found = sign_in.client.get("/api/session").json()
    assert (found["owner_kind"], found["name"], found["scopes"]) == ("person", "آنا", ["chat"])
    assert sign_in.client.get("/metrics").status_code == 403
    token = session.split("=")[1].split(";")[0]
    stored = b"".join(path.read_bytes() for path in sign_in.data.iterdir() if path.is_file())
    assert token.encode() not in stored, "the session's cookie could be read from the database"
    lines = [json.loads(line) for line in (sign_in.data / "audit.jsonl").read_text().splitlines()]
    assert [(line["action"], line["outcome"]) for line in lines] == [("sign_in", "done")]
    assert "anna" not in json.dumps(lines)


def test_what_is_asked_of_the_provider(sign_in) -> None:
    first, second = (sign_in.client.get("/auth/login", follow_redirects=False).headers["location"] for _ in range(2))
    query = {name: values[0] for name, values in parse_qs(urlsplit(first).query).items()}
    assert query["response_type"] == "code" and query["code_challenge_method"] == "S256"
    assert query["redirect_uri"] == f"{OURS}/auth/callback" and query["scope"].split()[0] == "openid"
    again = {name: values[0] for name, values in parse_qs(urlsplit(second).query).items()}
    for name in ("state", "nonce", "code_challenge"):
        assert len(query[name]) == 43 and query[name] != again[name]
    assert len({query[name] for name in ("state", "nonce", "code_challenge")}) == 3


LIES = {
    "wrong audience": {"aud": "another"},
    "one of several audiences without azp": {"aud": ["bimedix2", "another"]},
    "another's azp": {"aud": ["bimedix2", "another"], "azp": "another"},
    "wrong issuer": {"iss": "https://evil.example"},
    "expired": {"exp": 1_600_000_000},
    "no expiry": {"exp": None},
    "not yet": {"nbf": 9_999_999_999},
    "issued long ago": {"iat": 1_600_000_000},
    "no time of issue": {"iat": None},
    "another nonce": {"nonce": "x" * 43},
    "no nonce": {"nonce": None},
    "nobody": {"sub": None},
    "blank": {"sub": ""},
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
def test_claims_that_are_not_right(sign_in, issuer, lie) -> None:
    issuer.claims = lie
    reply = go(sign_in)
    assert reply.status_code == 401 and reply.json()["error"]["code"] == "sign_in_failed"
    assert "session" not in str(reply.headers) and sign_in.client.get("/v1/models").status_code == 401


@pytest.mark.parametrize("how", ["unsigned", "hs256_with_public_key", "other_key"])
def test_signatures_that_are_not_right(sign_in, issuer, how: str) -> None:
    issuer.forge = getattr(issuer, how)
    assert go(sign_in).status_code == 401
    assert sign_in.client.get("/v1/models").status_code == 401


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "é.é.é", "." * 3, "x" * 50_000, None, 5])
def test_what_is_no_token(sign_in, issuer, token) -> None:
    issuer.id_token = lambda nonce: token
    try:
        assert go(sign_in).status_code == 401
    finally:
        del issuer.id_token


def test_a_symmetric_key_among_the_published_ones_is_not_used(sign_in, issuer) -> None:
    known = OctKey.import_key("known to everybody, 32 bytes long!", {"kid": "sym"})
    issuer.published = [issuer.key, known]
    from joserfc import jwt

    issuer.forge = lambda claims: jwt.encode({"alg": "HS256", "kid": "sym"}, claims, known, algorithms=["HS256"])
    assert go(sign_in).status_code == 401


def test_a_new_key_of_the_provider_is_fetched(sign_in, issuer) -> None:
    assert go(sign_in).status_code == 303
    asked = issuer.seen.count("keys")
    assert go(sign_in).status_code == 303 and issuer.seen.count("keys") == asked, "the keys are kept"
    old = issuer.key
    issuer.key = RSAKey.generate_key(2048, {"kid": "second", "use": "sig"})
    issuer.published = [issuer.key]
    assert go(sign_in).status_code == 401, "not asked more often than every 30 seconds"
    _provider(sign_in)._fetched -= 31.0
    assert go(sign_in).status_code == 303
    issuer.key, issuer.published = old, [old]


def _provider(server):
    """The server's side of the provider, out of the running background job."""
    (run,) = [work for work in server.parts.background if isinstance(getattr(work, "__self__", None), SignIn)]
    return run.__self__._provider


@pytest.mark.parametrize("change", ["state", "code", "no cookie", "iss", "nothing"])
def test_answers_that_do_not_belong_to_this_browser(sign_in, issuer, change: str) -> None:
    start = sign_in.client.get("/auth/login", follow_redirects=False)
    back = urlsplit(httpx.get(start.headers["location"]).headers["location"])
    query = {name: values[0] for name, values in parse_qs(back.query).items()}
    if change == "no cookie":  # somebody else's browser was sent to the attacker's answer
        sign_in.client.cookies.clear()
    elif change == "nothing":
        query = {}
    else:
        query[change] = "https://evil.example" if change == "iss" else "x" * 43
    assert sign_in.client.get("/auth/callback", params=query, follow_redirects=False).status_code == 401


def test_an_answer_is_good_once(sign_in) -> None:
    start = sign_in.client.get("/auth/login", follow_redirects=False)
    seed = start.cookies["bimedix2_sign_in"]
    back = httpx.get(start.headers["location"]).headers["location"].removeprefix(OURS)
    assert sign_in.client.get(back, follow_redirects=False).status_code == 303
    sign_in.client.cookies.clear()
    again = sign_in.client.get(back, follow_redirects=False, headers={"Cookie": f"bimedix2_sign_in={seed}"})
    assert again.status_code == 401


@pytest.mark.parametrize(
    ("person", "scopes"),
    [({"email": "chief@hospital.example"}, ["admin", "chat"]), ({"email": "x@Hospital.Example"}, ["chat"]),
     ({"email": "x@evil.example"}, None), ({"email": "x@nothospital.example"}, None),
     ({"email": "x@hospital.example.evil.example"}, None), ({"email_verified": False}, None),
     ({"email_verified": None}, None), ({"email_verified": "true"}, None), ({"email": None}, None)],
)  # fmt: skip
def test_who_may_come_in(sign_in, issuer, person, scopes) -> None:
    issuer.person.update(person)
    reply = go(sign_in)
    if scopes is None:
        assert reply.status_code == 403 and sign_in.client.get("/v1/models").status_code == 401
    else:
        assert sign_in.client.get("/api/session").json()["scopes"] == scopes


def test_groups() -> None:
    settings = OIDCSettings(issuer="https://x", client_id="y", allow_groups=("doctors",))
    assert settings.scopes_of({"groups": ["doctors", 5]}) == {"chat"}
    for groups in ("doctors", ["nurses"], None, [["doctors"]]):
        assert settings.scopes_of({"groups": groups}) == frozenset()


def test_signing_out_ends_the_session_on_the_server(sign_in) -> None:
    go(sign_in)
    token = sign_in.client.cookies["bimedix2_session"]
    own = {"Origin": OURS, "Sec-Fetch-Site": "same-origin"}
    assert sign_in.client.post("/auth/logout", headers={"Origin": "https://evil.example"}).status_code == 403
    assert sign_in.client.get("/v1/models").status_code == 200
    assert sign_in.client.post("/auth/logout", headers=own, follow_redirects=False).status_code == 303
    stale = {"Cookie": f"bimedix2_session={token}"}
    assert sign_in.client.get("/v1/models", headers=stale).status_code == 401
    assert sign_in.chat(headers={**stale, **own}, stream=True).status_code == 401


def test_another_site_cannot_use_a_session(sign_in) -> None:
    """Row 47: a form of another site, with the cookie that a browser without SameSite would add."""
    go(sign_in)
    form = {"Content-Type": "text/plain"}
    for headers, status in (
        ({"Origin": "https://evil.example"}, 403), ({"Origin": "null"}, 403), ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403), ({}, 403),
        ({"Origin": OURS, "Sec-Fetch-Site": "same-origin"}, 415),
    ):  # fmt: skip
        reply = sign_in.client.post("/v1/chat/completions", content="{}", headers={**form, **headers})
        assert reply.status_code == status, headers
    assert sign_in.chat(headers={"Origin": OURS}).status_code == 200


def test_a_wrong_key_is_not_helped_by_a_session(sign_in) -> None:
    go(sign_in)
    assert sign_in.client.get("/v1/models", headers={"Authorization": "Bearer wrong"}).status_code == 401


def test_sessions_end(sign_in, monkeypatch) -> None:
    go(sign_in)
    real = sign_in.parts.guard.sessions._clock

    class Later:
        def wall(self) -> float:
            return real.wall() + 12 * 3600 + 1

        steady = real.steady

    assert sign_in.client.get("/v1/models").status_code == 200
    sign_in.parts.guard.sessions._clock = Later()
    assert sign_in.client.get("/v1/models").status_code == 401


def test_a_provider_that_is_down_is_a_503(tmp_path: Path) -> None:
    file = tmp_path / "oidc.yaml"
    file.write_text("issuer: http://127.0.0.1:9\nclient_id: x\nallow: ['*']\n")
    with serving(tmp_path / "d", oidc=file) as server:
        reply = server.client.get("/auth/login", headers={"Accept-Language": "ar"}, follow_redirects=False)
        assert reply.status_code == 503 and "خدمة" in reply.json()["error"]["message"]
        assert server.client.get("/health").status_code == 200


def test_sign_in_routes_are_slowed_down(tmp_path: Path) -> None:
    from bimedix2.serve.settings import Limits

    file = tmp_path / "oidc.yaml"
    file.write_text("issuer: http://127.0.0.1:9\nclient_id: x\nallow: ['*']\n")
    with serving(tmp_path / "d", oidc=file, limits=Limits(requests_per_minute=2)) as server:
        assert [server.client.get("/auth/callback?code=x").status_code for _ in range(3)] == [401, 401, 429]


@pytest.mark.parametrize("text", [
    "", "issuer: x", "[1]", "issuer: http://idp.example\nclient_id: x\nallow: ['*']",
    "issuer: https://idp.example\nclient_id: x", "issuer: https://idp.example\nclient_id: x\nallow: ['*']\nunknown: 1",
    "issuer: https://idp.example\nclient_id: x\nallow: ['*']\nalgorithms: [HS256]",
    "issuer: https://idp.example\nclient_id: x\nallow: ['*']\nalgorithms: [none]",
    "issuer: https://idp.example\nclient_id: x\nallow: ['*']\nalgorithms: []",
    "issuer: https://idp.example\nclient_id: x\nallow: ['*']\nclient_secret_variable: NOT_SET_ANYWHERE",
])  # fmt: skip
def test_settings_that_would_not_be_safe(tmp_path: Path, text: str) -> None:
    (tmp_path / "oidc.yaml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_oidc(tmp_path / "oidc.yaml")
    assert caught.value.code == "bad_oidc" and "تسجيل الدخول" in caught.value.message_ar


def test_a_sign_in_over_a_network_needs_https(tmp_path: Path) -> None:
    file = tmp_path / "oidc.yaml"
    file.write_text("issuer: https://idp.example\nclient_id: x\nallow: ['*']\n")
    with pytest.raises(ConfigError) as caught, serving(tmp_path / "d", oidc=file, public_url="http://ai.example"):
        pass
    assert caught.value.code == "bad_oidc"
    with serving(tmp_path / "e", oidc=file, public_url="https://ai.example") as server:
        (run,) = [work for work in server.parts.background if isinstance(getattr(work, "__self__", None), SignIn)]
        assert run.__self__.secure and run.__self__.cookie == "__Host-bimedix2_session"
