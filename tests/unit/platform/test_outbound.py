"""The guard against addresses that are not for us to call: by text, by name, by socket."""

import asyncio
import datetime as dt
import ipaddress
import socket
import ssl
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from app.platform.errors import InvalidInput, Misconfigured
from app.platform.guarded_http import GuardedResolver, guarded_session
from app.platform.outbound import (
    AllowedNetwork,
    EndpointGuard,
    TargetBlocked,
    addresses_of,
    check_endpoint_url,
    why_forbidden,
)
from app.sandbox.hosting import HttpListener, running

PUBLIC_V4, PUBLIC_V6 = "8.8.8.8", "2606:4700:4700::1111"

BLOCKED_URLS = [
    # what, url, reason
    ("loopback", "https://127.0.0.1/", "private_address"),
    ("all of loopback", "https://127.255.0.9/", "private_address"),
    ("private 10", "https://10.1.2.3/", "private_address"),
    ("private 172", "https://172.31.255.255/", "private_address"),
    ("private 192", "https://192.168.0.1/", "private_address"),
    ("cloud metadata", "https://169.254.169.254/latest/meta-data/", "private_address"),
    ("carrier-grade NAT", "https://100.64.0.1/", "private_address"),
    ("this network", "https://0.0.0.0/", "private_address"),
    ("benchmarking", "https://198.19.0.1/", "private_address"),
    ("documentation", "https://203.0.113.7/", "private_address"),
    ("6to4 relay", "https://192.88.99.1/", "private_address"),
    ("multicast", "https://224.0.0.1/", "private_address"),
    ("broadcast", "https://255.255.255.255/", "private_address"),
    ("IPv6 loopback", "https://[::1]/", "private_address"),
    ("IPv6 unspecified", "https://[::]/", "private_address"),
    ("IPv6 link-local", "https://[fe80::1]/", "private_address"),
    ("IPv6 link-local with scope", "https://[fe80::1%25eth0]/", None),
    ("IPv6 private", "https://[fd00::1]/", "private_address"),
    ("IPv6 site-local", "https://[fec0::1]/", "private_address"),
    ("IPv6 multicast", "https://[ff02::1]/", "private_address"),
    ("IPv6 documentation", "https://[2001:db8::1]/", "private_address"),
    ("IPv6 documentation, new", "https://[3fff::1]/", "private_address"),
    ("IPv6 discard", "https://[100::1]/", "private_address"),
    ("segment routing", "https://[5f00::1]/", "private_address"),
    ("Teredo", "https://[2001:0:4136:e378::1]/", "private_address"),
    ("IPv4-mapped", "https://[::ffff:127.0.0.1]/", "private_address"),
    ("IPv4-mapped in hexadecimal", "https://[::ffff:7f00:1]/", "private_address"),
    ("IPv4-compatible", "https://[::7f00:1]/", "private_address"),
    ("NAT64", "https://[64:ff9b::7f00:1]/", "private_address"),
    ("NAT64, local prefix", "https://[64:ff9b:1::a00:1]/", "private_address"),
    ("6to4", "https://[2002:7f00:1::]/", "private_address"),
    ("decimal", "https://2130706433/", "numeric_host"),
    ("octal", "https://0177.0.0.1/", "numeric_host"),
    ("octal as one number", "https://017700000001/", "numeric_host"),
    ("hexadecimal", "https://0x7f000001/", "numeric_host"),
    ("hexadecimal parts", "https://0x7f.0x0.0x0.0x1/", "numeric_host"),
    ("short", "https://127.1/", "numeric_host"),
    ("trailing dot", "https://127.0.0.1./", "numeric_host"),
    ("too many parts", "https://1.2.3.4.5/", "numeric_host"),
    ("name before a number", "https://example.1/", "numeric_host"),
    ("decimal of a public address", "https://134744072/", "numeric_host"),
    ("full-width digits", "https://１２７.０.０.１/", "private_address"),
    ("ideographic full stops", "https://127。0。0。1/", "private_address"),
    ("escaped digits", "https://%31%32%37.0.0.1/", None),
    ("http", "http://partner.example.jp/", "scheme"),
    ("file", "file:///etc/passwd", "scheme"),
    ("gopher", "gopher://partner.example.jp/", "scheme"),
    ("no scheme", "partner.example.jp/hooks", "scheme"),
    ("no host", "https:///hooks", "scheme"),
    ("user", "https://user@partner.example.jp/", "credentials"),
    ("user and password", "https://user:secret@partner.example.jp/", "credentials"),
    ("empty credentials", "https://@partner.example.jp/", "credentials"),
    ("a name as user of a private host", "https://partner.example.jp@127.0.0.1/", "credentials"),
    ("ssh port", "https://partner.example.jp:22/", "port"),
    ("redis port", "https://partner.example.jp:6379/", "port"),
    ("port zero", "https://partner.example.jp:0/", "port"),
    ("port out of range", "https://partner.example.jp:65536/", "url"),
    ("fragment", "https://partner.example.jp/#x", "fragment"),
    ("backslash", "https://partner.example.jp\\@127.0.0.1/", "url"),
    ("blank", "https://partner.example.jp /", "url"),
    ("line break", "https://partner.example.jp/\r\nx-evil: 1", "url"),
    ("NUL", "https://partner.example.jp/\x00", "url"),
    ("host with odd characters", "https://part'ner.example.jp/", "host"),
    ("too long", "https://partner.example.jp/" + "a" * 2000, "url"),
    ("localhost without exception", "https://localhost:9000/", "port"),
]


@pytest.mark.parametrize(("what", "url", "reason"), BLOCKED_URLS, ids=[what for what, *_ in BLOCKED_URLS])
def test_a_partner_cannot_register(what: str, url: str, reason: str | None) -> None:
    with pytest.raises(TargetBlocked, match=r"found .+; expected .+") as refused:
        check_endpoint_url(url, look_up=lambda host, port: [PUBLIC_V4])
    assert reason is None or refused.value.reason == reason
    assert isinstance(refused.value, InvalidInput)
    assert refused.value.field == "url"
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("https://partner.example.jp/webhooks", "https://partner.example.jp/webhooks"),
        ("  https://partner.example.jp:8443/a?b=c ", "https://partner.example.jp:8443/a?b=c"),
        ("https://見本.example/", "https://xn--8pvz87e.example/"),
        ("https://8.8.8.8/", "https://8.8.8.8/"),
        ("https://[2606:4700:4700::1111]/", "https://[2606:4700:4700::1111]/"),
        ("https://x--y.example.jp./", "https://x--y.example.jp./"),
    ],
)
def test_a_partner_can_register(typed: str, stored: str) -> None:
    assert check_endpoint_url(typed, look_up=lambda host, port: [PUBLIC_V4, PUBLIC_V6]) == stored


def test_one_private_answer_among_public_ones_is_enough_to_refuse() -> None:
    with pytest.raises(TargetBlocked, match=r"partner\.example\.jp → 10\.0\.0\.5 \(private network\)"):
        check_endpoint_url("https://partner.example.jp/", look_up=lambda host, port: [PUBLIC_V4, "10.0.0.5"])


def test_a_name_without_address_is_told_so() -> None:
    with pytest.raises(TargetBlocked, match="has no address") as refused:
        addresses_of("no-such-host.invalid", 443)
    assert refused.value.reason == "unresolvable"


@pytest.mark.parametrize("address", [PUBLIC_V4, PUBLIC_V6, "::ffff:8.8.8.8", "172.32.0.1", "100.128.0.1", "192.0.1.1"])
def test_public_addresses_are_public(address: str) -> None:
    assert why_forbidden(ipaddress.ip_address(address)) is None


def test_the_exception_is_as_narrow_as_it_is_written() -> None:
    allowed = (AllowedNetwork.parse("127.0.0.1/32:8080"),)
    assert check_endpoint_url("http://127.0.0.1:8080/x", allowed=allowed) == "http://127.0.0.1:8080/x"
    assert check_endpoint_url("http://localhost:8080/x", allowed=allowed)
    for other in (
        "http://127.0.0.1:8081/",
        "http://127.0.0.2:8080/",
        "http://[::1]:8080/",
        "http://10.0.0.1:8080/",
        "http://localhost:8081/",
        "http://partner.example.jp:8080/",
    ):
        with pytest.raises(TargetBlocked):
            check_endpoint_url(other, allowed=allowed)


@pytest.mark.parametrize(
    ("text", "network", "port"),
    [
        ("127.0.0.0/8", "127.0.0.0/8", None),
        ("10.0.0.1:80", "10.0.0.1/32", 80),
        ("[::1/128]:8080", "::1/128", 8080),
        ("[fd00::/8]", "fd00::/8", None),
    ],
)
def test_an_allowed_network_is_read(text: str, network: str, port: int | None) -> None:
    parsed = AllowedNetwork.parse(text)
    assert (str(parsed.network), parsed.port) == (network, port)


@pytest.mark.parametrize(
    "text", ["", "localhost:80", "127.0.0.1/33", "127.0.0.1:0", "127.0.0.1:70000", "::1", "127.0.0.1/8"]
)
def test_a_broken_allowed_network_stops_the_process(text: str) -> None:
    with pytest.raises(Misconfigured, match="allowed network: found"):
        AllowedNetwork.parse(text)


class Receiver:
    """Counts the requests that reach it; optionally sends them elsewhere."""

    def __init__(self, location: str | None = None) -> None:
        self.hosts: list[str] = []
        self._location = location
        self._http = HttpListener(self._answer)

    async def start(self) -> None:
        await self._http.start()

    async def stop(self) -> None:
        await self._http.stop()

    @property
    def port(self) -> int:
        return int(self._http.url.rpartition(":")[2])

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        self.hosts.append(request.headers["host"])
        return web.Response()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    with running(receiver):
        yield receiver


class FakeNames:
    """Answers look-ups from a list, one answer after the other, and counts them."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        return self.answers.pop(0)


async def get(guard: EndpointGuard, names: FakeNames, *urls: str) -> list[int | str]:
    """Return for each URL the status, or the reason why it was refused."""
    session = guarded_session(
        guard,
        connect_seconds=1,
        connections=5,
        user_agent="test",
        resolver=GuardedResolver(guard, look_up=names),
    )
    found: list[int | str] = []
    async with session:
        for url in urls:
            try:
                async with session.get(url, allow_redirects=False) as response:
                    found.append(response.status)
            except aiohttp.ClientConnectorError as error:
                found.append(getattr(error.os_error, "reason", repr(error)))
    return found


def test_the_connection_goes_to_the_checked_address_and_keeps_the_name(receiver: Receiver) -> None:
    guard = EndpointGuard([AllowedNetwork.parse(f"127.0.0.1:{receiver.port}")])
    names = FakeNames(["127.0.0.1"])
    assert asyncio.run(get(guard, names, f"http://partner.example.jp:{receiver.port}/")) == [200]
    assert receiver.hosts == [f"partner.example.jp:{receiver.port}"]
    assert names.asked == ["partner.example.jp"]


def test_a_name_that_turns_private_is_refused_when_it_is_called(receiver: Receiver) -> None:
    """DNS rebinding: public when the partner registered, ours when we call."""
    url = f"https://rebind.example.jp:{receiver.port}/".replace("https", "http")
    names = FakeNames([PUBLIC_V4], ["127.0.0.1"])
    assert check_endpoint_url("https://rebind.example.jp/", look_up=names)
    assert asyncio.run(get(EndpointGuard(), names, url)) == ["private_address"]
    assert receiver.hosts == []


def test_a_name_with_one_private_answer_is_refused_whole(receiver: Receiver) -> None:
    names = FakeNames([PUBLIC_V4, "127.0.0.1"])
    assert asyncio.run(get(EndpointGuard(), names, f"http://both.example.jp:{receiver.port}/")) == ["private_address"]
    assert receiver.hosts == []


def test_a_literal_address_never_asks_the_resolver_and_is_refused_all_the_same(receiver: Receiver) -> None:
    names = FakeNames()
    assert asyncio.run(get(EndpointGuard(), names, f"http://127.0.0.1:{receiver.port}/")) == ["private_address"]
    assert names.asked == []
    assert receiver.hosts == []


def test_a_resolver_that_lies_is_caught_at_the_socket(receiver: Receiver) -> None:
    """The last line holds even if the resolver let an address through."""

    class Careless(GuardedResolver):
        async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC):
            return [
                {"hostname": host, "host": "127.0.0.1", "port": port, "family": socket.AF_INET, "proto": 0, "flags": 0}
            ]

    async def call() -> str:
        guard = EndpointGuard()
        session = guarded_session(guard, connect_seconds=1, connections=5, user_agent="test", resolver=Careless(guard))
        async with session:
            with pytest.raises(aiohttp.ClientConnectorError) as refused:
                await session.get(f"http://name.example.jp:{receiver.port}/")
        assert isinstance(refused.value.os_error, TargetBlocked)
        return refused.value.os_error.reason

    assert asyncio.run(call()) == "private_address"
    assert receiver.hosts == []


def certificate_for(name: str, directory: Path) -> Path:
    """Write a self-signed certificate and its key into one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = directory / "certificate.pem"
    path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    return path


def test_the_certificate_is_checked_against_the_name_and_not_the_address(tmp_path: Path) -> None:
    path = certificate_for("partner.example.jp", tmp_path)

    async def call() -> list[str]:
        names_asked_for: list[str | None] = []
        theirs = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        theirs.load_cert_chain(path)
        theirs.sni_callback = lambda connection, name, context: names_asked_for.append(name)
        ours = ssl.create_default_context(cafile=path)

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=theirs)
        port = server.sockets[0].getsockname()[1]
        guard = EndpointGuard([AllowedNetwork.parse(f"127.0.0.1:{port}")])
        names = FakeNames(["127.0.0.1"], ["127.0.0.1"])
        session = guarded_session(
            guard,
            connect_seconds=1,
            connections=5,
            user_agent="test",
            resolver=GuardedResolver(guard, look_up=names),
        )
        async with server, session:
            async with session.post(f"https://partner.example.jp:{port}/", ssl=ours) as response:
                assert response.status == 200
            with pytest.raises(aiohttp.ClientConnectorCertificateError):
                await session.post(f"https://other.example.jp:{port}/", ssl=ours)
        return [str(name) for name in names_asked_for]

    assert asyncio.run(call()) == ["partner.example.jp", "other.example.jp"]


@pytest.mark.parametrize(
    "answers", [["127.0.0.1"], [PUBLIC_V4, "127.0.0.1"], [PUBLIC_V6, "fd00::1"], ["::ffff:10.0.0.1"]]
)
def test_the_resolver_alone_refuses_a_name_with_any_private_answer(answers: list[str]) -> None:
    async def call() -> None:
        resolver = GuardedResolver(EndpointGuard(), look_up=FakeNames(answers))
        with pytest.raises(TargetBlocked, match=r"both\.example\.jp → "):
            await resolver.resolve("both.example.jp", 443)
        await resolver.close()

    asyncio.run(call())


def test_the_resolver_gives_back_the_addresses_it_checked_and_asks_once() -> None:
    async def call() -> list[tuple[str, str, int]]:
        names = FakeNames([PUBLIC_V4, PUBLIC_V6])
        resolver = GuardedResolver(EndpointGuard(), look_up=names)
        found = await resolver.resolve("partner.example.jp", 443)
        await resolver.close()
        assert names.asked == ["partner.example.jp"]
        return [(one["hostname"], one["host"], one["family"]) for one in found]

    assert asyncio.run(call()) == [
        ("partner.example.jp", PUBLIC_V4, socket.AF_INET),
        ("partner.example.jp", PUBLIC_V6, socket.AF_INET6),
    ]


def test_a_look_up_that_hangs_is_given_up(receiver: Receiver) -> None:
    release = threading.Event()

    def hang(host: str, port: int) -> Sequence[str]:
        release.wait(5)
        return [PUBLIC_V4]

    async def call() -> None:
        resolver = GuardedResolver(EndpointGuard(), look_up=hang, seconds=0.2)
        with pytest.raises(TimeoutError):
            await resolver.resolve("slow.example.jp", 443)
        release.set()
        await resolver.close()

    asyncio.run(call())


def test_proxies_of_the_environment_are_ignored(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    guard = EndpointGuard([AllowedNetwork.parse("127.0.0.0/8")])
    assert asyncio.run(get(guard, FakeNames(), f"http://127.0.0.1:{receiver.port}/")) == [200]
