"""The WSGI application that gunicorn serves."""

import os

from django.core.wsgi import get_wsgi_application

from overmind_project.body import BoundedBody

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "overmind_project.settings")

application = BoundedBody(get_wsgi_application())
