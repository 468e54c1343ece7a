"""Which addresses `fetch` and notices may reach: public ones, and those of a setting with networks."""

import socket
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from gristmill.config.settings import variable
from gristmill.tasks.fetch.errors import FetchConnectionError, FetchNameError, FetchRefusedError

Address = IPv4Address | IPv6Address
Networks = Sequence[IPv4Network | IPv6Network]

#: What no public unicast address is in: IANA's IPv4 Special-Purpose Address Registry (RFC 6890), multicast,
#: and the dead 6to4 relays. Our own list, because Python's `is_global` changed from release to release.
_SPECIAL_V4 = {
    IPv4Network("0.0.0.0/8"): "unspecified",
    IPv4Network("10.0.0.0/8"): "private",
    IPv4Network("100.64.0.0/10"): "shared (carrier-grade NAT)",
    IPv4Network("127.0.0.0/8"): "loopback",
    IPv4Network("169.254.0.0/16"): "link-local",
    IPv4Network("172.16.0.0/12"): "private",
    IPv4Network("192.0.0.0/24"): "special-purpose",
    IPv4Network("192.0.2.0/24"): "documentation",
    IPv4Network("192.88.99.0/24"): "6to4 relay",
    IPv4Network("192.168.0.0/16"): "private",
    IPv4Network("198.18.0.0/15"): "benchmarking",
    IPv4Network("198.51.100.0/24"): "documentation",
    IPv4Network("203.0.113.0/24"): "documentation",
    IPv4Network("224.0.0.0/4"): "multicast",
    IPv4Network("240.0.0.0/4"): "reserved",
}
#: All of IPv6 but 2000::/3 is special; these parts of it are too (RFC 6890). 6to4 and Teredo carry an IPv4
#: address that a relay would reach; both are out of use, so all of them are refused.
_SPECIAL_V6 = {
    IPv6Network("::/128"): "unspecified",
    IPv6Network("::1/128"): "loopback",
    IPv6Network("fc00::/7"): "private",
    IPv6Network("fe80::/10"): "link-local",
    IPv6Network("ff00::/8"): "multicast",
    IPv6Network("2001::/32"): "Teredo",
    IPv6Network("2001::/23"): "special-purpose",
    IPv6Network("2001:db8::/32"): "documentation",
    IPv6Network("2002::/16"): "6to4",
    IPv6Network("3fff::/20"): "documentation",
}
_GLOBAL_V6 = IPv6Network("2000::/3")
#: The well-known prefix under which IPv6-only hosts reach IPv4 (RFC 6052).
_NAT64 = IPv6Network("64:ff9b::/96")


def refusal(address: Address, allowed: Networks) -> str | None:
    """Why nobody may reach `address`, in words; None if it may: the address is public, or in one of `allowed`.

    An IPv6 address that stands for an IPv4 one (IPv4-mapped, NAT64) counts as the IPv4 address.
    """
    reached = _reached(address)
    if any(reached in network or address in network for network in allowed):
        return None
    for network, word in (_SPECIAL_V4 if isinstance(reached, IPv4Address) else _SPECIAL_V6).items():
        if reached in network:
            return f"{address} is a {word} address"
    if isinstance(reached, IPv6Address) and reached not in _GLOBAL_V6:
        return f"{address} is a special-purpose address"
    return None


def _reached(address: Address) -> Address:
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address


def literal(host: str) -> Address | None:
    """The address that `host` is, also written as `127.1` or `0x7f000001`; None if it is a name."""
    try:
        entries = socket.getaddrinfo(host, None, flags=socket.AI_NUMERICHOST)
    except (OSError, UnicodeError):
        return None
    return ip_address(entries[0][4][0])


def resolve(host: str, port: int, allowed: Networks, setting: str = "fetch_networks") -> list[str]:
    """Look up `host`, once, and return its addresses in the order in which to try them; `allowed` is that `setting`.

    One address that may not be reached refuses the name: a name with public and private addresses hides something.

    Raises:
        FetchRefusedError: an address may not be reached.
        FetchNameError: there is no such host.
        FetchConnectionError: the look-up failed, and may work later.
    """
    try:
        entries = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        unknown = (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME))
        kind = FetchNameError if error.errno in unknown else FetchConnectionError
        raise kind(f"{host}: the name could not be looked up: {error.strerror}") from None
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in entries))
    for address in addresses:
        if reason := refusal(ip_address(address), allowed):
            raise FetchRefusedError(f"{host}: {reason} (expected {expected_host(setting)})")
    return addresses


def expected_host(setting: str) -> str:
    """What a host may be, for errors; `setting` has networks beside the public one."""
    return f"a public address, or one in the networks of {variable(setting)}"
