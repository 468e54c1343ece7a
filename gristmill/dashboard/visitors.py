"""Who visits the dashboard, and whether they may act or only look."""

import base64
import binascii
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
    """The user of a header with one of these `NAME:PASSWORD`; Flower refuses every other one."""
    kind, _, encoded = header.partition(" ")
    try:
        credentials = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return None
    if kind != "Basic" or not any(hmac.compare_digest(login.encode(), credentials) for login in logins):
        return None
    return credentials.decode().partition(":")[0]


def only_looks(application: Any, request: HTTPServerRequest) -> bool:
    """Whether this request's visitor may change nothing."""
    user = visitor(application, request)
    return bool(application.options.read_only) or (user is not None and not may_act(settings(), user))


def is_refused(application: Any, request: HTTPServerRequest) -> bool:
    """Whether somebody who has logged in to look wants to act: on our pages, or by Flower's."""
    if request.method in READING or request.path.endswith(READ_BY_POST):
        return False
    user = visitor(application, request)
    return user is not None and not may_act(settings(), user)


class Refusal(RequestHandler):
    """Answers a viewer who wants to act."""

    def prepare(self) -> None:
        """Answer every request with 403."""
        self.set_status(403)
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(f"{visitor(self.application, self.request)} may look at this dashboard, and not act on it.\n")


class ForVisitor(BaseHandler):
    """A page of Flower, without its buttons for those who may only look."""

    def render(self, *templates: Any, **values: Any) -> Any:
        """Render a template."""
        if "read_only" in values:
            values["read_only"] = only_looks(self.application, self.request)
        return super().render(*templates, **values)
