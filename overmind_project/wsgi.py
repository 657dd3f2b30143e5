"""The WSGI application that gunicorn serves."""

import os

from django import db
from django.core.cache import close_caches
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application

from overmind_project.body import BoundedBody
from overmind_project.observation import Observation

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "overmind_project.settings")

# Django looks after database connections and caches at both ends of each request; here are none.
request_started.disconnect(db.reset_queries)
request_started.disconnect(db.close_old_connections)
request_finished.disconnect(db.close_old_connections)
request_finished.disconnect(close_caches)

application = Observation(BoundedBody(get_wsgi_application()))
