FROM python:3.13-slim

ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
WORKDIR /app
COPY requirements.txt .
RUN pip install --no-cache-dir --disable-pip-version-check -r requirements.txt
COPY . .
RUN OVERMIND_STORE=sqlite python manage.py collectstatic --noinput --verbosity 0
RUN mkdir var && chown 10001 var
USER 10001
EXPOSE 8080
CMD ["python", "manage.py", "serve"]
