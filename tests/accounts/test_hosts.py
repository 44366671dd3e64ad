"""The site calls servers that an admin has named, and no others."""

import http.server
import threading
from io import StringIO

import httpx
import pytest
from django.core.management import call_command

from accounts.hosts import HostRefused, Place, host_allow, host_allowed, host_forget, place_allowed, private_caution
from accounts.models import AllowedHost, AuditEntry
from accounts.outgoing import outgoing_client
from accounts.services import user_create

pytestmark = pytest.mark.django_db


def test_nobody_is_called_before_an_admin_allows_it():
    assert not host_allowed("https://argilla.example.org/")
    with pytest.raises(HostRefused, match="may not call"):
        place_allowed("https://argilla.example.org/")


def test_a_host_is_allowed_by_name_on_one_port_or_all():
    host_allow(host="Argilla.Example.org", port=6900, actor=None)
    assert host_allowed("http://argilla.example.ORG:6900/api")
    assert not host_allowed("http://argilla.example.org/api")
    host_allow(host="argilla.example.org", actor=None)
    assert host_allowed("https://argilla.example.org/api")
    assert not host_allowed("https://argilla.example.org.evil.example/")
    assert AuditEntry.objects.filter(action="accounts.host_allowed").count() == 2


def test_a_checked_place_with_an_international_name_is_called_without_a_second_look(django_db_blocker):
    """Threads that call it have no database, and here there is none."""

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(204)
            self.end_headers()

    server = http.server.HTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.handle_request, daemon=True).start()
    port = server.server_port
    place = Place("xn--bcher-kva.example", port, ("127.0.0.1",))
    with (
        django_db_blocker.block(),
        outgoing_client(base_url=f"http://bücher.example:{port}", headers={}, checked=place) as client,
    ):
        assert client.get("/").status_code == 204
    server.server_close()


def test_allowing_twice_changes_the_entry_and_forgetting_ends_it():
    host_allow(host="a.example", actor=None)
    entry = host_allow(host="a.example", is_private=True, actor=None)
    assert AllowedHost.objects.count() == 1
    assert entry.is_private
    host_forget(entry=entry, actor=None)
    assert not host_allowed("http://a.example/")


@pytest.mark.parametrize(
    "address", ["ftp://a.example/", "a.example", "http://user:pass@a.example/", "http://[::1/", "http://a.example:99999/"]
)
def test_what_is_no_plain_web_address_is_refused(address):
    host_allow(host="a.example", actor=None)
    assert not host_allowed(address)


@pytest.mark.parametrize("name", ["", "http://a.example", "a.example/path", "a b", "-a", "a" * 300])
def test_what_is_no_host_cannot_be_allowed(name):
    with pytest.raises(HostRefused):
        host_allow(host=name, actor=None)


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "10.1.2.3", "169.254.169.254", "::1", "::ffff:127.0.0.1", "localhost", "0.0.0.0"]
)
def test_a_private_address_must_be_allowed_as_one(address):
    url = f"http://[{address}]:80/" if ":" in address else f"http://{address}/"
    host_allow(host=address, actor=None)
    with pytest.raises(HostRefused, match="private network"):
        place_allowed(url)
    host_allow(host=address, is_private=True, actor=None)
    assert place_allowed(url).addresses


@pytest.mark.parametrize("address", ["64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "::127.0.0.1", "2002:7f00:1::", "2002:a00:1::1"])
def test_a_private_address_within_another_is_private(address):
    host_allow(host=address, actor=None)
    with pytest.raises(HostRefused, match="private network"):
        place_allowed(f"http://[{address}]/")


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_a_public_address_is_public(address):
    host_allow(host=address, actor=None)
    assert place_allowed(f"http://[{address}]/" if ":" in address else f"http://{address}/").addresses


@pytest.mark.parametrize("error", [httpx.ConnectError, httpx.ConnectTimeout])
def test_where_an_address_takes_no_connection_the_next_one_is_called(server, monkeypatch, error):
    host_allow(host="localhost", is_private=True, actor=None)
    monkeypatch.setattr("accounts.hosts._addresses", lambda *_: ("10.9.9.9", "127.0.0.1"))
    reach = httpx.HTTPTransport.handle_request

    def reaching(self, request):
        if request.url.host == "10.9.9.9":
            raise error("nobody there")
        return reach(self, request)

    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", reaching)
    with outgoing_client(base_url=f"http://localhost:{server}", headers={}) as client:
        assert client.get("/").status_code == 302
        assert client.timeout.connect <= 10


class Redirecting(http.server.BaseHTTPRequestHandler):
    hosts: list[str] = []

    def do_GET(self):
        self.hosts.append(self.headers["Host"])
        self.send_response(302)
        self.send_header("Location", "http://169.254.169.254/latest")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    Redirecting.hosts.clear()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Redirecting) as one:
        thread = threading.Thread(target=one.serve_forever)
        thread.start()
        yield one.server_address[1]
        one.shutdown()
        thread.join()


def test_calls_go_to_allowed_hosts_alone_and_follow_no_redirect(server):
    with outgoing_client(base_url=f"http://localhost:{server}", headers={}) as client, pytest.raises(HostRefused):
        client.get("/")
    assert Redirecting.hosts == []
    host_allow(host="localhost", port=server, is_private=True, actor=None)
    with outgoing_client(base_url=f"http://localhost:{server}", headers={}) as client:
        assert client.get("/").status_code == 302
        with pytest.raises(HostRefused):
            client.get("/", follow_redirects=True)
    assert Redirecting.hosts == [f"localhost:{server}"] * 2


def test_the_page_the_shell_and_the_api_allow_and_forget(client):
    admin = user_create(username="ada", password="a long enough secret", role="admin", actor=None)
    client.force_login(admin, backend="django.contrib.auth.backends.ModelBackend")
    assert client.post("/account/hosts/", {"host": "http://a.example"}).status_code == 422
    assert client.post("/account/hosts/", {"host": "a.example", "note": "ours"}).status_code == 302
    assert b"a.example" in client.get("/account/hosts/").content
    entry = AllowedHost.objects.get()
    assert client.post(f"/account/hosts/{entry.pk}/remove/").status_code == 302
    told = StringIO()
    call_command("hosts", "allow", "b.example", "--port", "443", stdout=told)
    call_command("hosts", "list", stdout=told)
    assert "b.example:443" in told.getvalue()
    call_command("hosts", "forget", "b.example", "--port", "443", stdout=told)
    assert not AllowedHost.objects.exists()
    assert client.post("/api/hosts", {"host": "c.example"}, content_type="application/json").status_code == 201
    [found] = client.get("/api/hosts").json()["items"]
    assert client.delete(f"/api/hosts/{found['id']}").status_code == 204
    assert client.post("/api/hosts", {"host": "c d"}, content_type="application/json").status_code == 422


@pytest.mark.django_db
def test_who_is_refused_is_told_the_command_that_is_enough():
    for url, command in (
        ("http://127.0.0.1:8000/v1", "`rlwhf hosts allow 127.0.0.1 --private`"),
        ("http://localhost:8000/v1", "`rlwhf hosts allow localhost --private`"),
        ("https://api.example.org/v1", "`rlwhf hosts allow api.example.org`"),
    ):
        with pytest.raises(HostRefused) as refused:
            place_allowed(url)
        assert command in str(refused.value)


def test_who_allows_a_private_address_without_saying_so_is_told(capsys):
    assert all(
        "private network" in private_caution(host_allow(host=host, actor=None)) for host in ("10.1.2.3", "::1", "localhost")
    )
    assert not any(private_caution(host_allow(host=host, actor=None)) for host in ("8.8.8.8", "alerts.example.org"))
    assert not private_caution(host_allow(host="10.1.2.3", is_private=True, actor=None))
    call_command("hosts", "allow", "127.0.0.1")
    said = capsys.readouterr().out
    assert "may call" not in said and "`rlwhf hosts allow 127.0.0.1 --private`" in said
    call_command("hosts", "allow", "127.0.0.1", "--private")
    assert "This site may call 127.0.0.1." in capsys.readouterr().out
