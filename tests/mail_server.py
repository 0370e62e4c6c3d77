"""A real mail server on this machine that keeps what it gets."""

import socket
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

PASSWORD = "r1ght-passw0rd"  # noqa: S105 - of this server alone
REFUSED = "nobody@example.org"


class _Handler:
    def __init__(self) -> None:
        self.got: list[EmailMessage] = []

    async def handle_RCPT(  # noqa: N802 - aiosmtpd calls it so
        self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any
    ) -> str:
        if address == REFUSED:
            return "550 5.1.1 User unknown"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802
        self, _server: Any, _session: Any, envelope: Any
    ) -> str:
        message = message_from_bytes(envelope.content, EmailMessage, policy=default)
        self.got.append(message)
        return "250 OK"


def _log_in(_server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
    is_right = isinstance(data, LoginPassword) and data.password == PASSWORD.encode()
    return AuthResult(success=is_right, handled=False)


class MailServer:
    """Takes mail for everybody but one, from those who know the password."""

    def __init__(self) -> None:
        self._handler = _Handler()
        self._controller = Controller(
            self._handler,
            hostname="127.0.0.1",
            port=_free_port(),
            authenticator=_log_in,
            auth_require_tls=False,
        )
        self._controller.start()

    @property
    def got(self) -> list[EmailMessage]:
        return list(self._handler.got)

    def url(
        self, schema: str = "mailto", password: str = PASSWORD, to: str = "oncall@example.org"
    ) -> str:
        place = f"127.0.0.1:{self._controller.port}"
        sender = "from=dropload@example.org"
        return f"{schema}://ops%40example.org:{password}@{place}?smtp=127.0.0.1&{sender}&to={to}"

    def close(self) -> None:
        self._controller.stop()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
