"""How gunicorn serves: ``gunicorn -c python:overmind_project.gunicorn_conf``."""

import sys

from django.core.exceptions import ImproperlyConfigured

try:
    from overmind_project import settings
except ImproperlyConfigured as error:
    sys.exit(f"overmind: {error}")

wsgi_app = "overmind_project.wsgi:application"
bind = settings.OVERMIND_HTTP_ADDR
workers = settings.WEB_CONCURRENCY
worker_class = "gthread"
threads = settings.OVERMIND_THREADS
worker_tmp_dir = "/dev/shm"  # noqa: S108 - heartbeats in memory, not on a slow disk
control_socket_disable = True  # the root may be read-only
accesslog = "-"
access_log_format = '%(t)s %(h)s "%(r)s" %(s)s %(b)s bytes %(D)s us'
graceful_timeout = 20
timeout = 30
keepalive = 75  # seconds; longer than a load balancer in front keeps an idle connection
