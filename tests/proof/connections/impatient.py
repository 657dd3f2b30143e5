"""Runs the service with timeouts of one to three seconds, so that tests of slow clients are short.

    python -m tests.proof.connections.impatient

It imports no more than gunicorn has imported when it starts.
"""

from __future__ import annotations

import os
import sys

from gunicorn.app.wsgiapp import run

from overmind_project.server import limits

HEAD, BODY, SEND, KEEPALIVE = 1.0, 1.0, 2.0, 3
"""Seconds."""

if __name__ == "__main__":
    limits.HEAD_SECONDS = HEAD
    limits.BODY_SECONDS = BODY
    limits.SEND_SECONDS = SEND
    os.environ["DJANGO_SETTINGS_MODULE"] = "overmind_project.settings"  # as manage.py does
    sys.argv[1:] = ["-c", "python:overmind_project.gunicorn_conf", "--keep-alive", str(KEEPALIVE)]
    run()
