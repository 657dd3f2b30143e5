#!/bin/sh
# start_image.sh IMAGE [PLATFORM]: starts an image with its embedded store, and waits until it serves.
set -eu
container=$(docker run --detach ${2:+--platform "$2"} --publish 127.0.0.1::8080 "$1" \
  sh -c 'python manage.py bootstrap_couch && exec python manage.py serve')
trap 'docker rm --force "$container" >/dev/null' EXIT
curl --silent --show-error --fail --retry 60 --retry-delay 1 --retry-all-errors --max-time 5 \
  "http://$(docker port "$container" 8080)/readyz" || { docker logs "$container"; exit 1; }
