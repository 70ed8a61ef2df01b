"""The address table, the allow-list and the early rules on URLs."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from daemon.core.egress import allowance, check_url, is_local, verdict
from daemon.core.headers import header_complaint
from daemon.core.origin import origin, parse_origin

BAD_4 = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "168.63.129.16/32",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.31.196.0/24",
    "192.52.193.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "192.175.48.0/24",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
]
BAD_6 = [
    "::/128",
    "::1/128",
    "::/96",
    "::ffff:0:0:0/96",
    "64:ff9b::/96",
    "64:ff9b:1::/48",
    "100::/64",
    "100:0:0:1::/64",
    "2001::/32",
    "2001:2::/48",
    "2001:10::/28",
    "2001:20::/28",
    "2001:30::/28",
    "2001::/23",
    "2001:db8::/32",
    "3fff::/20",
    "2002::/16",
    "2620:4f:8000::/48",
    "5f00::/16",
    "fc00::/7",
    "fe80::/10",
    "fec0::/10",
    "ff00::/8",
    "4000::/2",
    "::/8",
]
GOOD = [
    "1.1.1.1",
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.0",
    "168.63.129.15",
    "168.63.129.17",
    "169.253.255.255",
    "172.15.255.255",
    "172.32.0.0",
    "192.0.1.0",
    "192.167.255.255",
    "198.17.255.255",
    "198.20.0.0",
    "223.255.255.255",
    "2606:4700:4700::1111",
    "2001:4860:4860::8888",
    "2a00:1450:4001::1",
    "2620:4f:7fff::1",
    "2003::1",
    "2600::5efe:808:808",
    "3ffe::1",
]
METADATA = [
    "169.254.169.254",
    "169.254.170.2",
    "169.254.170.23",
    "168.63.129.16",
    "100.100.100.200",
    "192.0.0.192",
    "fd00:ec2::254",
    "fd20:ce::254",
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "2002:a9fe:a9fe::1",
    "::ffff:0:a9fe:a9fe",
    "::a9fe:a9fe",
    "fe80::5efe:a9fe:a9fe",
    "2001:0:a9fe:a9fe::1",
    "2001:0:808:808::5601:5601",
    "64:ff9b:1::a9fe:a9fe",
]
EVERYTHING = [allowance("0.0.0.0/0:443"), allowance("[::]/0:443")]


def inside(ranges: list[str]) -> st.SearchStrategy[IPv4Address | IPv6Address]:
    def members(text: str) -> st.SearchStrategy[IPv4Address | IPv6Address]:
        network = IPv6Network(text) if ":" in text else IPv4Network(text)
        return st.integers(int(network[0]), int(network[-1])).map(type(network[0]))

    return st.one_of([members(text) for text in ranges])


@given(inside(BAD_4 + BAD_6))
def test_every_address_of_every_special_range_is_refused(address):
    assert verdict(address, 443) is not None


@pytest.mark.parametrize("text", BAD_4 + BAD_6)
def test_both_ends_of_every_special_range_are_refused(text):
    network = IPv6Network(text) if ":" in text else IPv4Network(text)

    assert verdict(network[0], 443)
    assert verdict(network[-1], 443)


@given(inside(BAD_4))
def test_a_bad_ipv4_address_is_bad_in_every_ipv6_wrapping(address):
    number = int(address)

    for wrapped in (
        0xFFFF << 32 | number,
        number,
        0xFFFF << 48 | number,
        0x64FF9B << 96 | number,
        0x2002 << 112 | number << 80 | 1,
        0x2001 << 112 | number << 64,
        0x20010000 << 96 | (number ^ 0xFFFFFFFF),
        0x2600 << 112 | 0x5EFE << 32 | number,
        0x2600 << 112 | 0x2005EFE << 32 | number,
    ):
        assert verdict(IPv6Address(wrapped), 443), IPv6Address(wrapped)


@pytest.mark.parametrize("text", GOOD)
def test_public_addresses_are_open(text):
    assert verdict(ip_address(text), 443) is None


@given(st.integers(0, 2**128 - 1).map(IPv6Address))
def test_outside_global_unicast_nothing_of_ipv6_is_open(address):
    if address not in IPv6Network("2000::/3") and address.ipv4_mapped is None:
        assert verdict(address, 443)


@given(st.integers(0, 2**32 - 1).map(IPv4Address))
def test_a_mapped_address_is_judged_as_the_address_it_maps(address):
    mapped = IPv6Address(0xFFFF << 32 | int(address))

    for trusted in (False, True):
        assert verdict(mapped, 443, is_trusted=trusted) == verdict(address, 443, is_trusted=trusted)


@pytest.mark.parametrize("text", METADATA)
def test_metadata_addresses_are_closed_to_everybody(text):
    assert verdict(ip_address(text), 443, allow=EVERYTHING, is_trusted=True)


@pytest.mark.parametrize("text", ["127.0.0.1", "127.9.9.9", "10.1.2.3", "172.31.0.1", "192.168.1.1", "::1", "fd12::1"])
def test_the_operator_may_name_local_addresses_and_strangers_may_not(text):
    address = ip_address(text)

    assert is_local(address)
    assert verdict(address, 81, is_trusted=True, is_plain=True) is None
    assert verdict(address, 443)


@pytest.mark.parametrize(
    "text", ["0.0.0.0", "100.64.0.1", "224.0.0.1", "255.255.255.255", "::", "ff02::1", "192.0.2.1"]
)
def test_even_the_operator_reaches_no_address_that_is_neither_local_nor_public(text):
    assert verdict(ip_address(text), 443, is_trusted=True)


@pytest.mark.parametrize("port", [0, 1, 22, 25, 53, 110, 1023, 2375, 2376, 3306, 5432, 6379, 9200, 11211, 27017])
def test_ports_of_known_daemons_are_closed_unless_allowed(port):
    address = IPv4Address("1.1.1.1")

    assert verdict(address, port)
    if port:
        assert verdict(address, port, allow=[allowance(f"1.1.1.1/32:{port}")]) is None


@pytest.mark.parametrize("port", [80, 443, 1024, 3000, 8000, 8080, 8443, 9000, 65535])
def test_usual_ports_are_open(port):
    assert verdict(IPv4Address("1.1.1.1"), port) is None


def test_an_allowance_covers_its_range_and_port_and_nothing_else():
    allow = [allowance("10.1.0.0/16:443"), allowance("[fd00:1::]/32:8443")]

    assert verdict(IPv4Address("10.1.255.255"), 443, allow=allow) is None
    assert verdict(IPv6Address("::ffff:10.1.0.1"), 443, allow=allow) is None
    assert verdict(IPv6Address("fd00:1::9"), 8443, allow=allow) is None
    assert verdict(IPv4Address("10.2.0.0"), 443, allow=allow)
    assert verdict(IPv4Address("10.1.0.0"), 8443, allow=allow)
    assert verdict(IPv6Address("fd00:1::9"), 443, allow=allow)


def test_an_allowance_without_a_prefix_is_one_address():
    assert allowance("127.0.0.1:9000") == allowance("127.0.0.1/32:9000")
    assert allowance("[::1]:9000") == allowance("[::1]/128:9000")


@pytest.mark.parametrize(
    "text",
    [
        "", "127.0.0.1", "127.0.0.1/32", "localhost:9000", "127.0.0.1/33:9000", "10.1.0.1/16:443", "::1/128:9000",
        "[::1]/129:1", "10.0.0.0/8:0", "10.0.0.0/8:65536", "10.0.0.0/8:*", "127.1:80", "0x7f.0.0.1:80",
        "[::ffff:127.0.0.1]/128:80", "[fe80::1%eth0]:80", "169.254.169.254/32:80", "169.254.0.0/16:80",
        "168.63.129.16:80", "100.100.100.200:80", "[fd00:ec2::254]/128:80",
    ],
)  # fmt: skip
def test_a_bad_allowance_is_refused_with_a_reason(text):
    with pytest.raises(ValueError) as caught:
        allowance(text)

    assert len(str(caught.value)) > 20


@pytest.mark.parametrize(
    ("listener", "dialled"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("127.0.0.1", "::ffff:127.0.0.1"),
        ("127.0.0.1", "0.0.0.0"),
        ("0.0.0.0", "127.0.0.1"),
        ("0.0.0.0", "192.168.1.5"),
        ("::", "::1"),
        ("::", "127.0.0.1"),
        ("93.184.216.34", "93.184.216.34"),
    ],
)
def test_the_daemon_never_calls_itself(listener, dialled):
    own = [(ip_address(listener), 8710)]
    allow = [allowance("0.0.0.0/0:8710"), allowance("[::]/0:8710")]

    assert verdict(ip_address(dialled), 8710, allow=allow, is_trusted=True, own=own)
    assert verdict(ip_address("127.0.0.1"), 8711, is_trusted=True, own=own) is None


def test_plain_http_goes_to_local_and_allowed_addresses_only():
    allow = [allowance("93.184.216.34/32:8080")]

    assert verdict(IPv4Address("93.184.216.34"), 8080, allow=allow, is_plain=True) is None
    assert verdict(IPv4Address("93.184.216.35"), 8080, allow=allow, is_plain=True)
    assert verdict(IPv4Address("93.184.216.35"), 8080, is_trusted=True, is_plain=True)


@pytest.mark.parametrize(
    "url",
    [
        "https://app.example.com/hooks", "https://app.example.com:8443/x?y=z", "https://bücher.example/", "https://1.1.1.1/",
        "https://[2606:4700:4700::1111]/", "HTTPS://APP.EXAMPLE.COM", "https://example.com./", "https://xn--bcher-kva.example",
    ],
)  # fmt: skip
def test_a_public_https_url_passes(url):
    assert check_url(url) is None


@pytest.mark.parametrize(
    "url",
    [
        "", "app.example.com", "/hooks", "//app.example.com/", "ftp://app.example.com/", "file:///etc/passwd", "gopher://a.b/",
        "http://app.example.com/", "http://1.1.1.1/", "https://", "https:///x", "https://:443/", "https://user@a.b/",
        "https://user:pw@a.b/", "https://@a.b/", "https://a.b\\@c.d/", "https://a.b/\\x", "https://a.b/ x", " https://a.b/",
        "https://a.b/\n", "https://a.b/\x00", "https://a\tb.c/", "https://a.b:0/", "https://a.b:99999/", "https://a.b:x/",
        "https://a.b:-1/", "https://a..b/", "https://-.b/", "https://a%2eb/", "https://127%2e0.0.1/", "https://[::1%25eth0]/",
        "https://[fe80::1%eth0]/", "https://[::1/", "https://[127.0.0.1]/", "https://::1/", "https://[::1]x/", "https://[]/",
        "https://127.0.0.1/", "https://127.1/", "https://2130706433/", "https://0x7f000001/", "https://0177.0.0.1/",
        "https://0/", "https://１２７.0.0.1/", "https://①②⑦.0.0.1/", "https://127。0。0。1/", "https://[::1]/",
        "https://[::ffff:127.0.0.1]/", "https://[64:ff9b::7f00:1]/", "https://169.254.169.254/latest/", "https://10.0.0.1/",
        "https://localhost/", "https://LOCALHOST:9000/", "https://localhost./", "https://a.localhost/", "https://printer.local/",
        "https://metadata.google.internal/", "https://x.home.arpa/", "https://host.docker.internal/", "https://a.b:22/",
        "https://a.b:6379/", "https://ⓛocalhost/", "https://a_b\u2028c/", "https://" + "a" * 64 + ".example/",
        "https://a.b/" + "x" * 5000,
    ],
)  # fmt: skip
def test_what_can_never_be_a_strangers_target_is_refused_early(url):
    assert check_url(url) is not None


def test_the_operators_url_may_stand_on_this_machine_or_a_name_of_its_network():
    for url in (
        "http://127.0.0.1:9000/",
        "http://localhost:9000/",
        "http://[::1]:81/",
        "http://app.internal/",
        "http://x/",
    ):
        assert check_url(url, is_trusted=True) is None
        assert check_url(url) is not None


@pytest.mark.parametrize(
    "host", ["straße.example", "βόλος.example", "a\u200db.example", "a\u00adb.example", "１.example。"]
)
def test_a_name_that_two_readers_may_map_differently_is_refused(host):
    with pytest.raises(ValueError):
        origin(f"https://{host}/")


@pytest.mark.parametrize(
    "url", ["http://169.254.169.254/", "http://8.8.8.8/", "http://u:p@127.0.0.1/", "http://127.1/"]
)
def test_even_the_operators_url_is_held_to_the_rules_that_have_no_exception(url):
    assert check_url(url, is_trusted=True) is not None


def test_an_allowed_address_and_port_passes_early_by_literal_and_by_local_name():
    allow = [allowance("127.0.0.1/32:9000")]

    assert check_url("http://127.0.0.1:9000/hook", allow=allow) is None
    assert check_url("http://localhost:9000/hook", allow=allow) is None
    assert check_url("http://127.0.0.1:9001/hook", allow=allow) is not None
    assert check_url("http://localhost:9001/hook", allow=allow) is not None


def test_a_complaint_never_repeats_the_url():
    for url in ("https://user:hunter2@a.b/", "ftp://hunter2/", "https://hunter2 /", "https://[hunter2]/"):
        assert "hunter2" not in (check_url(url) or "hunter2")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://Example.COM/x?y#z", "https://example.com:443"),
        ("http://example.com", "http://example.com:80"),
        ("https://example.com.:8443/", "https://example.com:8443"),
        ("https://bücher.example/", "https://xn--bcher-kva.example:443"),
        ("https://[2001:DB8:0::1]/", "https://[2001:db8::1]:443"),
        ("http://127.0.0.1:9000/", "http://127.0.0.1:9000"),
    ],
)
def test_an_origin_names_scheme_host_and_port_in_one_spelling(url, expected):
    assert origin(url) == expected


@given(
    st.builds(
        "{}://{}{}{}".format,
        st.sampled_from(["http", "https", "HTTPS", "ftp", "https:"]),
        st.one_of(
            st.text(alphabet="abz09.-_%@:[]x\\/#?é。①", max_size=30),
            st.text(min_size=1, max_size=6),
            st.ip_addresses(v=4).map(str),
            st.ip_addresses(v=6).map(lambda a: f"[{a}]"),
            st.from_regex(r"[a-z0-9-]{1,9}(\.[a-z0-9-]{1,9}){0,3}", fullmatch=True),
        ),
        st.sampled_from(["", ":", ":0", ":80", ":9000", ":65536"]),
        st.text(max_size=20).map(lambda t: "/" + t),
    )
)
def test_a_url_whose_origin_can_be_read_is_read_the_same_by_the_http_client(url):
    try:
        read = parse_origin(url)
    except ValueError:
        return
    theirs = URL(url)

    assert (theirs.scheme, theirs.raw_host.rstrip("."), theirs.port) == (read.scheme, read.host, read.port)
    assert theirs.user is None
    assert parse_origin(str(theirs)) == read


@pytest.mark.parametrize(
    "name",
    [
        "Host", "content-length", "Transfer-Encoding", "connection", "TE", "Upgrade", "Proxy-Authorization", "webhook-id",
        "Webhook-Signature", "Content-Type", "user-agent", "Expect", "Trailer", "Content-Encoding", "Accept-Encoding", "",
        "a b", "a:b", "a\r\nb", "é",
    ],
)  # fmt: skip
def test_headers_that_frame_or_sign_the_request_cannot_be_added(name):
    assert header_complaint(name, "x") is not None


def test_other_headers_can_be_added_unless_their_value_breaks_the_line():
    assert header_complaint("Authorization", "Bearer abc") is None
    for value in ("a\r\nb: c", "a\nb", "\x00", "é", "x" * 5000):
        assert header_complaint("X-Mine", value) is not None


@pytest.mark.parametrize(
    "port",
    [1433, 1521, 3306, 5432, 5984, 6379, 9042, 9200, 9300, 11211, 27017, 27018, 27019,
     2049, 2181, 2375, 2376, 2379, 2380, 3389, 5672, 5900, 6443, 9092, 10250, 10255, 22, 79, 81, 442, 444, 1023],
)  # fmt: skip
def test_each_port_of_a_known_daemon_and_each_low_one_is_refused_to_strangers(port):
    assert "is not one for webhooks" in str(verdict(ip_address("93.184.216.34"), port))


@pytest.mark.parametrize(
    "port", [80, 443, 1024, 1434, 1522, 3307, 5433, 5985, 6380, 9043, 9201, 9301, 11212, 27020, 8080]
)
def test_every_other_port_is_open_to_strangers(port):
    assert verdict(ip_address("93.184.216.34"), port) is None


def test_a_listener_on_all_addresses_is_not_met_at_a_public_one():
    own = [(ip_address("0.0.0.0"), 8710)]

    assert verdict(ip_address("93.184.216.34"), 8710, own=own) is None
    assert verdict(ip_address("127.0.0.1"), 8710, own=own, is_trusted=True) == "it is the daemon's own listener"


def test_an_allowance_may_begin_or_end_among_metadata_addresses_and_opens_none_of_them():
    for text in ("169.254.0.0/15:80", "168.63.128.0/22:80"):
        assert allowance(text).port == 80
        assert verdict(IPv4Address("169.254.169.254"), 80, allow=[allowance(text)])


def test_the_last_port_may_be_allowed():
    assert allowance("127.0.0.1/32:65535").port == 65535
