"""``python -m tests.support.impatient``: the service, with all its patience cut short.

Imports no more than gunicorn has when it starts.
"""

from __future__ import annotations

import os
import sys

from gunicorn.app.wsgiapp import run

from overmind_project import connection

HEAD, BODY, SEND, KEEPALIVE = 1.0, 1.0, 2.0, 3
"""Seconds."""

if __name__ == "__main__":
    connection.HEAD_SECONDS = HEAD
    connection.BODY_SECONDS = BODY
    connection.SEND_SECONDS = SEND
    os.environ["DJANGO_SETTINGS_MODULE"] = "overmind_project.settings"  # as manage.py does
    sys.argv[1:] = ["-c", "python:overmind_project.gunicorn_conf", "--keep-alive", str(KEEPALIVE)]
    run()
