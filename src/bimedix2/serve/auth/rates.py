"""Token buckets in memory: requests per minute of one key and of one address."""

from __future__ import annotations

import ipaddress
from collections import OrderedDict

from bimedix2.serve.auth.clock import Clock

_REMEMBERED = 20_000
_IPV6_SITE = 64


class Buckets:
    """One bucket a name: full at first, one request takes one token, and a minute refills it.

    Args:
        per_minute: size of a bucket; 0 sets no bound.
        clock: its steady side alone, so that setting the machine's clock changes nothing.
        remembered: names kept; the one that was longest not seen is forgotten first.
    """

    def __init__(self, per_minute: int, clock: Clock, remembered: int = _REMEMBERED) -> None:
        self.per_minute, self._clock, self._remembered = per_minute, clock, remembered
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, name: str) -> float:
        """Take a token of ``name``'s bucket.

        Returns:
            0.0, or the seconds until the next token where the bucket is empty; then nothing is taken.
        """
        if self.per_minute <= 0:
            return 0.0
        now, rate = self._clock.steady(), self.per_minute / 60.0
        level, seen = self._levels.pop(name, (float(self.per_minute), now))
        level = min(float(self.per_minute), level + max(0.0, now - seen) * rate)
        wait = 0.0 if level >= 1.0 else (1.0 - level) / rate
        self._levels[name] = (level if wait else level - 1.0, now)
        while len(self._levels) > self._remembered:
            self._levels.popitem(last=False)
        return wait


def bucket_of(address: str) -> str:
    """Name of an address's bucket: an IPv4 address, or the /64 that one IPv6 customer has to himself.

    >>> bucket_of("2001:db8::1"), bucket_of("::ffff:192.0.2.7")
    ('2001:db8::', '192.0.2.7')
    """
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, _IPV6_SITE), strict=False).network_address)
