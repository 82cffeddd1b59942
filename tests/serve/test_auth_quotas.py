"""How much one key and one address may take, and clocks that do not go as they should."""

from __future__ import annotations

from pathlib import Path

import pytest
from security_tools import DAY, Clock, bearer, serving

from bimedix2.serve.auth.errors import QuotaError
from bimedix2.serve.auth.quotas import Quotas, Spend
from bimedix2.serve.auth.rates import Buckets, bucket_of
from bimedix2.serve.settings import Limits
from bimedix2.serve.store.database import Database


@pytest.fixture
def database(tmp_path: Path):
    found = Database(tmp_path / "server")
    yield found
    found.close()


def test_buckets_refill_by_the_steady_clock_alone() -> None:
    clock = Clock()
    buckets = Buckets(60, clock)
    assert [buckets.take("a") for _ in range(60)] == [0.0] * 60
    assert buckets.take("a") == pytest.approx(1.0) and buckets.take("b") == 0.0
    clock.set_wall(clock.now + 1e9)
    assert buckets.take("a") == pytest.approx(1.0), "setting the clock gave requests back"
    clock.set_wall(0.0)
    clock.pass_time(0.5)
    assert buckets.take("a") == pytest.approx(0.5)
    clock.pass_time(0.5)
    assert buckets.take("a") == 0.0
    clock.pass_time(1e6)
    assert [buckets.take("a") for _ in range(61)][-1] > 0, "a bucket never holds more than a minute's worth"


def test_buckets_forget_the_oldest_names() -> None:
    buckets = Buckets(1, Clock(), remembered=3)
    for name in "abcd":
        buckets.take(name)
    assert len(buckets._levels) == 3 and "a" not in buckets._levels


@pytest.mark.parametrize(
    ("address", "bucket"),
    [("192.0.2.1", "192.0.2.1"), ("2001:db8:1:2:3::4", "2001:db8:1:2::"), ("::ffff:10.0.0.1", "10.0.0.1"),
     ("fe80::1%eth0", "fe80::"), ("testclient", "testclient")],
)  # fmt: skip
def test_bucket_of_an_address(address: str, bucket: str) -> None:
    assert bucket_of(address) == bucket


def test_quota_survives_a_restart_and_renews_at_midnight(database) -> None:
    clock = Clock()
    Quotas(database, clock).charge("a", Spend(90, 2))
    quotas = Quotas(database, clock)
    assert quotas.used("a") == Spend(90, 2)
    with pytest.raises(QuotaError) as caught:
        quotas.hold("a", Spend(20, 0), Spend(100, 0))
    assert caught.value.retry_after == DAY / 2 and caught.value.status == 429
    with pytest.raises(QuotaError):
        quotas.hold("a", Spend(0, 1), Spend(0, 2))
    quotas.hold("b", Spend(20, 0), Spend(100, 0))
    clock.pass_time(DAY / 2)
    assert quotas.used("a") == Spend()
    quotas.hold("a", Spend(20, 0), Spend(100, 0))
    quotas.charge("a", Spend(5, 1))
    assert quotas.used("a") == Spend(5, 1)


def test_answers_under_way_count(database) -> None:
    quotas = Quotas(database, Clock())
    quotas.hold("a", Spend(60, 1), Spend(100, 4))
    with pytest.raises(QuotaError):
        quotas.hold("a", Spend(60, 1), Spend(100, 4))
    quotas.release("a", Spend(60, 1))
    quotas.hold("a", Spend(60, 1), Spend(100, 4))


def test_a_clock_that_goes_back_gives_no_quota_and_locks_nobody_out(database) -> None:
    clock = Clock()
    quotas = Quotas(database, clock)
    quotas.charge("a", Spend(100, 0))
    clock.set_wall(clock.now - 3 * DAY)
    with pytest.raises(QuotaError):
        quotas.hold("a", Spend(1, 0), Spend(100, 0))
    clock.pass_time(DAY)  # the next midnight by the new date
    quotas.hold("a", Spend(1, 0), Spend(100, 0))


def test_a_clock_that_was_years_ahead_locks_nobody_out(database) -> None:
    clock = Clock()
    quotas = Quotas(database, clock)
    clock.set_wall(clock.now + 5000 * DAY)
    quotas.charge("a", Spend(100, 0))
    clock.set_wall(clock.now - 5000 * DAY)
    with pytest.raises(QuotaError):
        quotas.hold("a", Spend(1, 0), Spend(100, 0))
    clock.pass_time(DAY)
    quotas.hold("a", Spend(1, 0), Spend(100, 0))


def test_a_clock_set_back_and_forth_over_midnight_renews_once(database) -> None:
    clock = Clock()
    quotas = Quotas(database, clock)
    quotas.charge("a", Spend(100, 0))
    clock.pass_time(DAY / 2 + 1)
    quotas.charge("a", Spend(100, 0))  # renewed, and used up again
    for step in (-2, 2, -2, 2):
        clock.set_wall(clock.now + step)
        with pytest.raises(QuotaError):
            quotas.hold("a", Spend(1, 0), Spend(100, 0))
    clock.pass_time(DAY)
    assert quotas.used("a") == Spend()


def test_the_keys_own_quota_comes_before_the_servers(tmp_path: Path) -> None:
    limits = Limits(tokens_per_day=8)
    with serving(tmp_path / "d", limits=limits) as server:
        small = server.parts.guard.keys.create("a")[0]
        free = server.parts.guard.keys.create("b", tokens_per_day=0)[0]
        assert server.chat("one two three four five six", headers=bearer(free)).status_code == 200
        assert server.chat("one two three four five six", headers=bearer(free)).status_code == 200
        reply = server.chat("one two three four five six", headers=bearer(small))
        if reply.status_code == 200:  # what an answer may take is not set aside: the next one is refused
            reply = server.chat("again", headers=bearer(small))
        assert reply.status_code == 429 and reply.json()["error"]["code"] == "quota_used_up"
        assert 1 <= int(reply.headers["retry-after"]) <= DAY
