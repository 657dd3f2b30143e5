# syntax=docker/dockerfile:1
ARG BASE=python:3.13-slim

# Everything that is only needed to build stays in this stage.
FROM ${BASE} AS build
ENV PYTHONDONTWRITEBYTECODE=1
WORKDIR /app
COPY requirements.txt .
RUN python3 -m venv /venv \
 && /venv/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps --no-compile \
      --require-hashes --only-binary :all: --requirement requirements.txt \
 && /venv/bin/pip uninstall --yes --quiet pip
COPY manage.py .
COPY overmind_project overmind_project
COPY zerglings zerglings
RUN OVERMIND_STORE=sqlite /venv/bin/python manage.py collectstatic --noinput --verbosity 0 \
 && rm -r /venv/lib/python3*/site-packages/drf_spectacular_sidecar/static \
 && /venv/bin/python -m compileall -q /venv /app \
 && mkdir var && chown 10001:10001 var

FROM ${BASE}
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Overmind" \
      org.opencontainers.image.description="Spawns zerglings on a grid and moves them; its memory is CouchDB." \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
ENV PATH=/venv/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 HOME=/tmp
WORKDIR /app
COPY --from=build /venv /venv
COPY --from=build /app /app
USER 10001:10001
EXPOSE 8080
# `serve` checks the settings and then becomes gunicorn, which is process 1 and gets the signals.
CMD ["python", "manage.py", "serve"]
