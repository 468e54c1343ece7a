"""The parts of `fetch` that need no network: addresses, URLs, waits."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from gristmill.tasks.fetch import task as fetching
from gristmill.tasks.fetch.addresses import refusal
from gristmill.tasks.fetch.target import Target
from gristmill.tasks.fetch.task import fetch
from gristmill.tasks.schema import ItemError

NOT_PUBLIC = """
0.0.0.0 10.1.2.3 100.64.0.1 127.0.0.1 127.8.8.8 169.254.169.254 172.16.0.1 172.31.255.255 192.0.0.8
192.0.2.1 192.88.99.1 192.168.1.1 198.18.0.1 198.51.100.1 203.0.113.1 224.0.0.1 240.0.0.1 255.255.255.255 ::
::1 ::7f00:1 ::ffff:127.0.0.1 ::ffff:10.0.0.1 64:ff9b::10.0.0.1 64:ff9b::7f00:1 64:ff9b:1::808:808 100::1
2001::1 2001:db8::1 2002:0a00:0001::1 2002:808:808::1 3fff::1 5f00::1 fc00::1 fd12::1 fe80::1 fec0::1
ff02::1 4000::1
"""
PUBLIC = """
1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 172.15.255.255 172.32.0.0 192.0.1.1
223.255.255.255 2606:4700::1111 2a00:1450::1 ::ffff:8.8.8.8 64:ff9b::8.8.8.8
"""
REFUSED = """
ftp://example.com/ file:///etc/passwd javascript:alert(1) example.com/x //example.com/ http:// http:///x
http://example.com:0/ http://example.com:99999/ http://exa..mple.com/ http://127.0.0.1/ http://127.1/
http://2130706433/ http://0x7f000001/ http://0177.0.0.1/ http://[::1]/ http://[::ffff:10.0.0.1]/
https://169.254.169.254/latest http://0/ http://[fe80::1]/
"""


def _refused(**arguments: Any) -> str:
    with pytest.raises(ItemError) as caught:
        fetch.schema.arguments(arguments, {}, "")
    return str(caught.value)


@pytest.mark.parametrize("address", NOT_PUBLIC.split())
def test_addresses_that_are_not_public(address: str) -> None:
    reason = refusal(ip_address(address), ())
    assert reason is not None
    assert str(ip_address(address)) in reason


@pytest.mark.parametrize("address", PUBLIC.split())
def test_addresses_that_are_public(address: str) -> None:
    assert refusal(ip_address(address), ()) is None


def test_allowed_networks() -> None:
    networks = (ip_network("127.0.0.0/8"), ip_network("fd00::/8"))
    for address in ("127.0.0.1", "::ffff:127.0.0.1", "fd00::1"):
        assert refusal(ip_address(address), networks) is None
    assert refusal(ip_address("10.0.0.1"), networks) == "10.0.0.1 is a private address"
    assert refusal(ip_address("::1"), networks) == "::1 is a loopback address"


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("http://Example.COM", "http://example.com/"),
        ("https://example.com:443/a b?q=ü#part", "https://example.com/a%20b?q=%C3%BC"),
        ("http://example.com.:8080/a/../b", "http://example.com:8080/b"),
        ("http://[2606:4700::1111]:81/", "http://[2606:4700::1111]:81/"),
        (r"http://example.com\@127.0.0.1/", "http://example.com/%5C@127.0.0.1/"),
    ],
)
def test_a_url_is_normalised(url: str, wanted: str) -> None:
    assert Target.parse(url, ()).url == wanted


@pytest.mark.parametrize(
    "url",
    [
        *REFUSED.split(),
        "",
        " ",
        "http://exa mple.com/",
        f"http://{'a' * 64}.com/",
        "http://example.com/" + "x" * 9000,
    ],
)
def test_a_url_that_is_not_allowed_is_refused_before_anything_is_sent(url: str) -> None:
    assert _refused(url=url).startswith("invalid value for url: ")


@pytest.mark.parametrize("url", ["http://me:hunter2@example.com/", "http://me:hunter2@[bad/", "x://a:hunter2@b/"])
def test_a_password_is_refused_and_not_shown(url: str) -> None:
    assert "hunter2" not in _refused(url=url)


def test_where_to_save_is_checked_before_anything_is_sent() -> None:
    assert _refused(url="http://example.com/", save="../out").startswith("invalid value for save: ")


@pytest.mark.parametrize(
    ("url", "path"),
    [
        (" http://example.com/a\n", "/a"),
        ("http://exam\tple.com/a\nb", "/ab"),
        ("http://example.com/%20%zz?%", "/%20%zz?%"),
        ("http://PERCENT.example.com/percent%", "/percent%"),
    ],
)
def test_urls_are_read_as_browsers_read_them(url: str, path: str) -> None:
    target = Target.parse(url, ())
    assert target.path == path
    assert target.host.endswith("example.com")


def test_a_host_has_no_percent_sign() -> None:
    for url in ("http://a%zz.example.com/", "http://%@example.com/", "http://%"):
        assert " url: " in _refused(url=url)


def test_redirects_are_relative_to_where_they_are_sent_from() -> None:
    here = Target.parse("https://example.com/a/b?c", ())
    assert here.redirected("../d", ()).url == "https://example.com/d"
    assert here.redirected("//other.example/e", ()).url == "https://other.example/e"
    assert here.redirected("/gr\u00c3\u00bcn", ()).url == "https://example.com/gr%C3%BCn"
    assert here.redirected("/caf\u00e9 ", ()).url == "https://example.com/caf%E9"
    assert here.redirected(" /a%20b%zz", ()).url == "https://example.com/a%20b%zz"
    for location in ("http://example.com/", "ftp://example.com/", "//10.0.0.1/", "http://[bad/"):
        with pytest.raises(ValueError, match=" url: "):
            here.redirected(location, ())


def test_the_pause_doubles_up_to_a_cap() -> None:
    assert [fetching._pause(failures, None, 0) for failures in (1, 2, 3, 10, 20)] == [0.5, 1, 2, 30, 30]
    assert [fetching._pause(failures, None, 1) for failures in (1, 2, 20)] == [0.25, 0.5, 15]
    assert (fetching._pause(1, 10, 0), fetching._pause(1, 10, 1)) == (10, 11)


NOW = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("7", 7),
        (" 7 ", 7),
        ("3600", 60),
        ("-1", None),
        ("soon", None),
        ("", None),
        ("²", None),
        (format_datetime(NOW + timedelta(seconds=9), usegmt=True), 9),
        (format_datetime(NOW - timedelta(days=9), usegmt=True), 0),
        (format_datetime(NOW + timedelta(days=9), usegmt=True), 60),
        ("Tue, 01 Jan 2030 00:00:09", 9),
        ("Tue, 01 Jan 99999 00:00:09 GMT", None),
    ],
)
def test_retry_after(value: str | None, seconds: float | None) -> None:
    assert fetching._retry_after(value, NOW) == seconds


@pytest.mark.parametrize(
    ("path", "suffix"),
    [
        ("/a/photo.JPG", ".jpg"),
        ("/a.tar.gz?x=.exe", ".gz"),
        ("/", ""),
        ("/a.b/c", ""),
        ("/a.%2e", ""),
        ("/a.verylongone", ""),
    ],
)
def test_the_suffix_of_what_is_saved(path: str, suffix: str) -> None:
    assert fetching._suffix(Target.parse(f"http://example.com{path}", ())) == suffix


#: Slots that are the first of their process to use an HTTP library, each another part of it, while its import is slow.
FIRST_USE = """
import sys, threading, time
from gristmill.tasks.fetch.http import RequestLimits, send_request
from gristmill.tasks.fetch.errors import FetchConnectionError
from gristmill.tasks.fetch.target import Target

class Slow:
    def find_spec(self, name, path=None, target=None):
        if name.startswith("urllib3"):
            time.sleep(0.01)

def ask():
    try:
        with send_request(Target("http", "127.0.0.1", 1, "/"), ["127.0.0.1"], RequestLimits(1, 1, 1, 1)):
            pass
    except FetchConnectionError:
        pass

def parse():
    Target.parse("http://site.example/", [])

def slot(use):
    try:
        use()
    except BaseException as error:
        print(repr(error))

sys.meta_path.insert(0, Slow())
slots = [threading.Thread(target=slot, args=[use]) for use in (parse, ask) * 4]
for each in slots:
    each.start()
for each in slots:
    each.join()
"""


def test_slots_may_be_the_first_to_fetch_at_once():
    done = subprocess.run([sys.executable, "-c", FIRST_USE], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == ""
