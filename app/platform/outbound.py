"""Calls to addresses that somebody else chose: checked before they are made, pinned while they are made.

A partner types the address its webhooks go to. Without a guard that address could name our own database, a cloud's
metadata service or a neighbour on the same network. The guard has three lines, each of which is enough alone for
the case it is meant for:

1. `EndpointGuard.check_url` looks at the text of the URL (scheme, port, credentials, literal addresses).
2. `GuardedResolver` (in `guarded_http`) resolves a name once and refuses it if **any** answer is forbidden; the
   connection then goes to the checked address, while TLS and the Host header keep the name, so a second answer can
   never slip in.
3. `EndpointGuard.open_socket` looks at the address each socket is about to connect to, whoever asked for it.

There is no switch that turns the guard off. What is reachable beyond the public internet is listed explicitly, network
by network (`AllowedNetwork`), for receivers on the same machine in tests and in the demonstration.
"""

import ipaddress
import re
import socket
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Self

from yarl import URL

from app.platform.errors import InvalidInput, Misconfigured

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

#: Ports a partner's endpoint may listen on.
PUBLIC_PORTS: Final = frozenset({443, 8443})
LONGEST_URL: Final = 2000

_FORBIDDEN_V4: Final = tuple(
    (ipaddress.IPv4Network(network), why)
    for network, why in (
        ("0.0.0.0/8", "'this' network"),
        ("10.0.0.0/8", "private network"),
        ("100.64.0.0/10", "carrier-grade NAT"),
        ("127.0.0.0/8", "loopback"),
        ("169.254.0.0/16", "link-local, where cloud metadata services live"),
        ("172.16.0.0/12", "private network"),
        ("192.0.0.0/24", "protocol assignments"),
        ("192.0.2.0/24", "documentation"),
        ("192.88.99.0/24", "6to4 relay"),
        ("192.168.0.0/16", "private network"),
        ("198.18.0.0/15", "benchmarking"),
        ("198.51.100.0/24", "documentation"),
        ("203.0.113.0/24", "documentation"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved or broadcast"),
    )
)
_LOOPBACK: Final = (ipaddress.IPv4Address("127.0.0.1"), ipaddress.IPv6Address("::1"))
#: Only 2000::/3 is handed out as public IPv6; these are the parts of it that are not, or that carry IPv4 inside.
_PUBLIC_V6: Final = ipaddress.IPv6Network("2000::/3")
_FORBIDDEN_V6: Final = tuple(
    (ipaddress.IPv6Network(network), why)
    for network, why in (
        ("::1/128", "loopback"),
        ("::/128", "unspecified address"),
        ("fe80::/10", "link-local"),
        ("fc00::/7", "private network"),
        ("ff00::/8", "multicast"),
        ("64:ff9b::/96", "NAT64, which carries an IPv4 address"),
        ("64:ff9b:1::/48", "NAT64, which carries an IPv4 address"),
        ("100::/64", "discard-only"),
        ("2001::/23", "protocol assignments (Teredo, ORCHID, benchmarking)"),
        ("2001:db8::/32", "documentation"),
        ("2002::/16", "6to4, which carries an IPv4 address"),
        ("3fff::/20", "documentation"),
        ("5f00::/16", "segment routing"),
    )
)
_ALLOWED_NETWORK: Final = re.compile(r"(?:(?P<v4>[0-9./]+)|\[(?P<v6>[0-9a-f:./]+)\])(?::(?P<port>[0-9]{1,5}))?")
_LAST_LABEL_IS_A_NUMBER: Final = re.compile(r"(?:^|\.)(?:[0-9]+|0x[0-9a-f]*)\Z", re.IGNORECASE)
_HOST_NAME: Final = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(?:\.(?!-)[a-z0-9_-]{1,63}(?<!-))*\Z", re.IGNORECASE)
_UNSAFE_IN_URL: Final = re.compile(r"[\x00-\x20\x7f-\xa0\u2028\u2029\\]")


class TargetBlocked(InvalidInput, OSError):
    """The guard refused an address.

    Invalid input where a partner types it; an `OSError` as well, because it also has to travel through a connection
    attempt like any other reason not to connect.

    Attributes:
        reason: a stable word for programs and catalogues: `url`, `scheme`, `credentials`, `fragment`, `port`, `host`,
            `numeric_host`, `unresolvable` or `private_address`.
        found: what was there.
        expected: what would have been accepted.
    """

    slug = "target-blocked"

    def __init__(self, reason: str, *, found: str, expected: str) -> None:
        super().__init__(f"found {found}; expected {expected}", field="url")
        self.reason = reason
        self.found = found
        self.expected = expected


@dataclass(frozen=True, slots=True)
class AllowedNetwork:
    """A network outside the public internet that may be called all the same, on one port or on all of them.

    Inside an allowed network plain http is accepted too: a receiver on the loopback interface has no certificate.
    """

    network: IPNetwork
    port: int | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `127.0.0.0/8` (every port), `127.0.0.1/32:8080` or `[::1/128]:8080` (one port).

        Raises:
            Misconfigured: the text is none of them.
        """
        match = _ALLOWED_NETWORK.fullmatch(text.strip())
        try:
            if match is None:
                raise ValueError("not of this form")
            port = int(match["port"]) if match["port"] else None
            if port is not None and not 0 < port < 65536:
                raise ValueError(f"there is no port {port}")
            return cls(ipaddress.ip_network(match["v4"] or match["v6"]), port)
        except ValueError as error:
            raise Misconfigured(
                f"allowed network: found {text!r} ({error}); expected a network such as 127.0.0.0/8, 127.0.0.1/32:8080 "
                "or [::1/128]:8080"
            ) from error

    def covers(self, address: IPAddress, port: int) -> bool:
        """Say whether a connection to this address and port is inside the allowed network."""
        return (
            address.version == self.network.version
            and address in self.network
            and (self.port is None or self.port == port)
        )


def canonical_address(address: IPAddress) -> IPAddress:
    """Return the IPv4 address inside an IPv4-mapped IPv6 address, and everything else (without scope) as it is."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address.scope_id is not None:
            return ipaddress.IPv6Address(int(address))
    return address


def why_forbidden(address: IPAddress) -> str | None:
    """Say in a few words why this address is not part of the public internet; None if it is."""
    address = canonical_address(address)
    if isinstance(address, ipaddress.IPv4Address):
        return next((why for network, why in _FORBIDDEN_V4 if address in network), None)
    for network, why in _FORBIDDEN_V6:
        if address in network:
            return why
    return None if address in _PUBLIC_V6 else "not a public IPv6 address"


class EndpointGuard:
    """Decides which addresses may be called.

    Args:
        allowed: networks outside the public internet that may be called all the same. Empty in production.
    """

    def __init__(self, allowed: Iterable[AllowedNetwork] = ()) -> None:
        self.allowed = tuple(allowed)
        # The same few thousand endpoints are checked again for every delivery.
        self.check_url: Callable[[str], URL] = lru_cache(maxsize=4096)(self._check_url)

    def check_address(self, text: str, port: int, *, host: str | None = None) -> None:
        """Refuse an address that is neither public nor in an allowed network.

        Raises:
            TargetBlocked: with reason `private_address`.
        """
        address = canonical_address(ipaddress.ip_address(text))
        why = why_forbidden(address)
        if why is None or self._is_allowed(address, port):
            return
        raise TargetBlocked(
            "private_address",
            found=f"{host} → {address} ({why})" if host and host != text else f"{address} ({why})",
            expected="a host whose every address is on the public internet",
        )

    def open_socket(self, addr_info: tuple[int, int, int, str, tuple[object, ...]]) -> socket.socket:
        """Make the socket for one connection attempt, after a last look at where it is going (aiohttp's hook).

        Raises:
            TargetBlocked: the address is forbidden.
        """
        family, kind, protocol, _name, where = addr_info
        self.check_address(str(where[0]), int(str(where[1])))
        return socket.socket(family=family, type=kind, proto=protocol)

    def _is_allowed(self, address: IPAddress, port: int) -> bool:
        return any(network.covers(address, port) for network in self.allowed)

    def _check_url(self, text: str) -> URL:
        """Check everything that the text of a URL can tell, and return it parsed by the library that will call it.

        Raises:
            TargetBlocked: saying what was found and what was expected.
        """
        url = _parsed(text)
        host, port = url.raw_host or "", url.port or 0
        literal = _literal_address(host)
        if literal is not None and self._is_allowed(canonical_address(literal), port):
            return url
        # The one name that may be exempt; what it resolves to is checked when it is called, like any other answer.
        exempt_name = host == "localhost" and any(self._is_allowed(address, port) for address in _LOOPBACK)
        if url.scheme != "https" and not exempt_name:
            raise TargetBlocked("scheme", found=f"{url.scheme}://", expected="an address that begins with https://")
        if port not in PUBLIC_PORTS and not exempt_name:
            raise TargetBlocked("port", found=f"port {port}", expected=f"one of the ports {sorted(PUBLIC_PORTS)}")
        if literal is not None:
            self.check_address(str(literal), port)
        return url


def check_endpoint_url(
    text: str,
    *,
    allowed: Iterable[AllowedNetwork] = (),
    look_up: Callable[[str, int], Sequence[str]] | None = None,
) -> str:
    """Check the address that a partner wants its webhooks sent to, and return it in its normal form.

    Args:
        text: the URL as typed.
        allowed: networks outside the public internet that may be called all the same.
        look_up: resolves a host to addresses, such as `addresses_of`; without it a name is only checked when it is
            called, which is safe but tells the partner later.

    Raises:
        TargetBlocked: saying what was found and what was expected.
    """
    guard = EndpointGuard(allowed)
    url = guard.check_url(text.strip())
    host, port = url.raw_host or "", url.port or 0
    if look_up is not None and _literal_address(host) is None:
        for address in look_up(host, port):
            guard.check_address(address, port, host=host)
    return str(url)


def addresses_of(host: str, port: int) -> list[str]:
    """Resolve a name with the system's resolver (blocking).

    Raises:
        TargetBlocked: with reason `unresolvable`.
    """
    try:
        answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise TargetBlocked(
            "unresolvable", found=f"{host}, which has no address ({error})", expected="a host name known to the DNS"
        ) from error
    return [str(where[0]) for *_rest, where in answers]


def _parsed(text: str) -> URL:
    """Parse with the parser of the library that will connect: two parsers that disagree are an old way in."""
    expected = "a plain address such as https://example.jp/webhooks"
    if len(text) > LONGEST_URL:
        raise TargetBlocked("url", found=f"{len(text)} characters", expected=f"at most {LONGEST_URL}")
    if _UNSAFE_IN_URL.search(text):
        raise TargetBlocked("url", found="a space, control character or backslash in the address", expected=expected)
    try:
        url = URL(text)
        host = url.raw_host or ""
    except ValueError as error:
        raise TargetBlocked("url", found=f"an address that cannot be read ({error})", expected=expected) from error
    if url.scheme not in ("http", "https") or not host:
        raise TargetBlocked("scheme", found=f"scheme {url.scheme!r} and host {host!r}", expected=expected)
    authority = re.split(r"[/?#]", text.partition("://")[2], maxsplit=1)[0]
    if "@" in authority or url.raw_user is not None or url.raw_password is not None:
        raise TargetBlocked("credentials", found="a user name or password in the address", expected=expected)
    if "#" in text:
        raise TargetBlocked("fragment", found="a part after #, which is never sent", expected=expected)
    return url


def _literal_address(host: str) -> IPAddress | None:
    """Return the address that a host spells out, or None if the host is a name.

    Raises:
        TargetBlocked: the host is an address in disguise (decimal, octal, hexadecimal, short, scoped) or no host name.
    """
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        pass
    bare = host.rstrip(".")
    if _LAST_LABEL_IS_A_NUMBER.search(bare):
        try:
            meant = socket.inet_ntoa(socket.inet_aton(bare))
        except OSError:
            meant = "no valid address"
        raise TargetBlocked(
            "numeric_host", found=f"{host}, which some programs read as {meant}", expected="a host name"
        )
    if len(bare) > 253 or not _HOST_NAME.match(bare):
        raise TargetBlocked("host", found=f"host {host!r}", expected="a host name of letters, digits, hyphens and dots")
    return None
