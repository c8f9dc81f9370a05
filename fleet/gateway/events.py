"""What can be said back to a phone. ``wire`` turns it into the phone's dialect."""

from dataclasses import dataclass

BOOLEANS = {
    "enabled", "keep_in_inbox", "call_notifications", "forward_sent", "network_failover", "test_mode",
    "auto_add_test_number", "ignore_shortcodes", "ignore_non_numeric", "amqp_enabled", "amqp_ssl",
}  # fmt: skip
INTEGERS = {"outgoing_interval", "amqp_port", "amqp_heartbeat", "settings_version", "market_version"}
STRINGS = {
    "server_url", "phone_number", "password", "amqp_host", "amqp_vhost", "amqp_user", "amqp_password", "amqp_queue",
    "market_version_name",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class OutMessage:
    """One SMS to send; the phone reports on it by ``id``. Bigger ``priority`` goes first."""

    id: str
    to: str
    text: str
    priority: int = 0


@dataclass(frozen=True, slots=True)
class Send:
    """Send these messages."""

    messages: tuple[OutMessage, ...]


@dataclass(frozen=True, slots=True)
class Cancel:
    """Forget the message of this id, if it still waits."""

    id: str


@dataclass(frozen=True, slots=True)
class Settings:
    """Change the app's settings (name → value). Raises ValueError for an unknown name or a value of a wrong type.

    The app does not check: a number as password breaks every request it makes from then on, and the word "true"
    switches it off.
    """

    values: dict[str, bool | int | str]

    def __post_init__(self):
        for name, value in self.values.items():
            if name in BOOLEANS:
                fine = isinstance(value, bool)
            elif name in INTEGERS:
                fine = type(value) is int and -(2**31) <= value < 2**31
            else:
                fine = name in STRINGS and isinstance(value, str)
            if not fine:
                raise ValueError(f"setting {name} cannot be a {type(value).__name__} of this size, or is unknown")


@dataclass(frozen=True, slots=True)
class Log:
    """Write this into the app's log; it comes back in the next ``log``."""

    message: str
