#!/bin/sh
# Subject:   Django 5.2.19, Python 3.11 or newer.
# Behaviour: CommonMiddleware, which every new project has, gives each answer without a Content-Length the length of its body. For
#            the 304 that Django's own `etag` decorator (or `condition`, or ConditionalGetMiddleware) makes, that is
#            "Content-Length: 0", also where the 200 of the same URL has another length.
# Seen:      200 with Content-Length 5
#            304 with Content-Length 0
# Surprise:  both parts are Django's, and each is right alone. RFC 9110, section 8.6, allows a Content-Length in a 304 only if
#            it is that of the 200. A cache may update the header fields of its stored answer from a 304 (RFC 9111, section
#            3.2), so a cache that takes the length over serves an empty 200 from then on.
# For users: behind a shared cache, delete the header from 304s in a middleware outside of CommonMiddleware.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m pip install --quiet --no-deps --disable-pip-version-check --root-user-action=ignore --no-compile \
    --target "$work" \
    Django==5.2.19 asgiref==3.13.0 sqlparse==0.6.1
cat > "$work/run.py" <<'PYTHON'
import sys

import django
from django.conf import settings
from django.http import HttpResponse
from django.test import Client
from django.urls import path
from django.views.decorators.http import etag

settings.configure(
    ALLOWED_HOSTS=["*"],
    MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
    ROOT_URLCONF=__name__,
    SECRET_KEY="only for this run",
)
django.setup()


@etag(lambda request: '"1"')
def hello(request):
    return HttpResponse("hello")


urlpatterns = [path("", hello)]
client = Client()
answers = [client.get("/"), client.get("/", headers={"If-None-Match": '"1"'})]
seen = [(answer.status_code, answer.headers.get("Content-Length")) for answer in answers]
for status, length in seen:
    print(f"{status} with Content-Length {length}")
sys.exit(seen != [(200, "5"), (304, "0")])
PYTHON
cd "$work" && PYTHONPATH="$work" python3 -S run.py
