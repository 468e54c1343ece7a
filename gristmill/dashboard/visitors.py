"""Who visits the dashboard, and whether they may act or only look."""

import base64
import hmac
from typing import Any

from tornado.httputil import HTTPServerRequest
from tornado.web import RequestHandler, decode_signed_value

from gristmill.config.flower import may_act
from gristmill.config.settings import settings
from gristmill.dashboard.flower_internals import BaseHandler

#: What changes nothing; and the one address that pages read with another method.
READING, READ_BY_POST = ("GET", "HEAD", "OPTIONS"), "/tasks/datatable"


def visitor(application: Any, request: HTTPServerRequest) -> str | None:
    """Who has logged in; None where nobody has, or nobody needs to."""
    options = application.options
    if options.basic_auth:
        return _of_password(request.headers.get("Authorization", ""), options.basic_auth)
    cookie = request.cookies.get("user") if options.auth else None
    name = cookie and decode_signed_value(application.settings["cookie_secret"], "user", cookie.value)
    return name.decode() if name else None


def _of_password(header: str, logins: list[str]) -> str | None:
    """The user of a header with one of these `NAME:PASSWORD`; Flower refuses every other one.

    It reads the header as Flower does, however odd: nobody logs in there who has no name here.
    """
    try:
        kind, encoded = header.split()
        credentials = base64.b64decode(encoded.encode())
    except ValueError:
        return None
    if kind != "Basic" or not any(hmac.compare_digest(login.encode(), credentials) for login in logins):
        return None
    return credentials.decode().partition(":")[0]


def only_looks(application: Any, request: HTTPServerRequest) -> bool:
    """Whether this request's visitor may change nothing."""
    return bool(application.options.read_only) or _is_viewer(application, visitor(application, request))


def _is_viewer(application: Any, user: str | None) -> bool:
    """Whether this user may not act. Where one has to log in and there are roles, nobody acts without a name."""
    if user is None:
        return application.guarded and bool(settings().dashboard_viewers or settings().dashboard_operators)
    return not may_act(settings(), user)


def is_refused(application: Any, request: HTTPServerRequest) -> bool:
    """Whether somebody who may only look wants to act: on our pages, or by Flower's."""
    prefix = application.options.url_prefix.strip("/")
    if request.method in READING or request.path == (f"/{prefix}" if prefix else "") + READ_BY_POST:
        return False
    return _is_viewer(application, visitor(application, request))


class Refusal(RequestHandler):
    """Answers a viewer who wants to act, and whoever has not logged in."""

    def check_xsrf_cookie(self) -> None:
        """Refuse whatever the request has."""

    def prepare(self) -> None:
        """Answer every request with 403, or with 401 for somebody without a name."""
        application: Any = self.application
        user = visitor(application, self.request)
        self.set_status(401 if user is None else 403)
        if user is None and application.options.basic_auth:
            self.set_header("WWW-Authenticate", 'Basic realm="flower"')
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(f"{f'{user} may look at this dashboard, and not act on it' if user else 'Log in first'}.\n")


class ForVisitor(BaseHandler):
    """A page of Flower, without its buttons for those who may only look, and where Flower's API is closed to all."""

    def render(self, *templates: Any, **values: Any) -> Any:
        """Render a template."""
        if "read_only" in values:
            is_open = self.application.guarded or self.unauthenticated_api
            values["read_only"] = not is_open or only_looks(self.application, self.request)
        return super().render(*templates, **values)
