"""Opens the listening socket of a server, before any model is loaded."""

from __future__ import annotations

import errno
import ipaddress
import socket

from nlplug.errors import ServerError


def listen(host: str, port: int) -> socket.socket:
    """Open a listening socket, so that a port in use is detected before models load.

    Args:
        host: Name or address.
        port: Port; 0 for any free one.

    Raises:
        ServerError: The address cannot be had.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        opened = socket.create_server((host, port), family=family, backlog=2048)
    except OverflowError:
        raise ServerError(f"There is no port {port}.", hint="Use one from 0 to 65535.") from None
    except (OSError, UnicodeError) as error:  # some names cannot be asked for at all
        raise _explained(error, host, port) from None
    # create_server() does not name the protocol, and for such sockets asyncio leaves TCP_NODELAY
    # unset: each reply to a client that keeps its connection would come 40 ms late.
    kind, protocol = socket.SOCK_STREAM, socket.IPPROTO_TCP
    return socket.socket(family, kind, protocol, fileno=opened.detach())


def is_loopback(host: str) -> bool:
    """Whether an address can be reached only from this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def url_of(listener: socket.socket) -> str:
    """The URL, without a path, at which this machine reaches a listening socket."""
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _explained(error: OSError | UnicodeError, host: str, port: int) -> ServerError:
    # getaddrinfo() has numbers of its own, and they overlap with the system's.
    own = isinstance(error, socket.gaierror | UnicodeError)
    number = 0 if own else getattr(error, "errno", 0)
    if number == errno.EADDRINUSE:
        return ServerError(
            f"Port {port} of {host} is in use by another program.",
            hint=f"Stop that program, or choose another port: --port {port + 1}",
        )
    if number == errno.EACCES:
        return ServerError(
            f"This process has no permission to use port {port}.",
            hint="Pick a port from 1024 up, such as --port 8000.",
        )
    return ServerError(
        f"Cannot listen on {host}, port {port} ({getattr(error, 'strerror', None) or error}).",
        hint="Use 127.0.0.1 for this machine only, 0.0.0.0 for the whole network.",
    )
