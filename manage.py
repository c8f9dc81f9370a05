#!/usr/bin/env python
"""Django's command line."""

import os
import sys

# Daphne installs the asyncio reactor, and must do so before anything else imports Twisted's.
if len(sys.argv) > 1 and sys.argv[1] in ("up", "web"):
    import daphne.server  # noqa: F401

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "fleet.settings")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)
