"""The app's settings and what a ``settings`` event may do to them."""

from dataclasses import dataclass

from fleet.gateway.events import BOOLEANS, INTEGERS, STRINGS


class Crash(ValueError):
    """The app dies of this value, now or at its next request."""


@dataclass
class AppSettings:
    """What the owner typed in, or a server changed; ``outgoing_interval`` in seconds, 0 = no polling."""

    server_url: str
    phone_number: str
    password: str
    outgoing_interval: int | float = 10
    settings_version: int = 0
    enabled: bool = True
    call_notifications: bool = True
    forward_sent: bool = True
    test_mode: bool = False
    ignore_shortcodes: bool = False
    ignore_non_numeric: bool = False

    def change(self, values):
        """Apply a ``settings`` event. Raises Crash for a value of the wrong type, except for booleans:
        those count as off, and the words are returned for each."""
        if not isinstance(values, dict):
            raise Crash("settings is not an object")
        oddities = []
        for name, value in values.items():
            if name in BOOLEANS and not isinstance(value, bool):
                oddities.append(f"setting {name} is {value!r}, which switches it off")
                value = False
            elif name in INTEGERS and (type(value) is not int or not -(2**31) <= value < 2**31):
                raise Crash(f"setting {name} is {value!r}, not a 32-bit integer")
            elif name in STRINGS and not isinstance(value, str):
                raise Crash(f"setting {name} is {type(value).__name__}, not a string")
            if hasattr(self, name):
                setattr(self, name, value)
        return oddities

    def allows(self, number):
        """Whether messages from and to this number pass the app's filters (in test mode: none do)."""
        digits = number.removeprefix("+")
        if self.test_mode:
            return False
        if self.ignore_non_numeric and not digits.isdigit():
            return False
        return not (self.ignore_shortcodes and digits.isdigit() and len(digits) <= 6)
