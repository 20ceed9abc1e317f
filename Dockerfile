# One image for web, worker, sender, beat and migrate (docker-compose.yml). No secret is in it.
FROM python:3.11-slim

ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 STATIC_ROOT=/srv/static
WORKDIR /srv/smsmail

# pg_dump and psql, for the commands backup and restore.
RUN apt-get update && apt-get install -y --no-install-recommends postgresql-client \
    && rm -rf /var/lib/apt/lists/*

COPY requirements-run.txt .
RUN pip install --no-cache-dir -r requirements-run.txt

COPY . .
# With an empty environment settings.py makes keys beside an SQLite file; they go with the folder.
RUN DATA_DIR=/tmp/build python manage.py collectstatic --no-input && rm -rf /tmp/build \
    && python -m compileall -q . \
    && useradd --system --uid 10001 --no-create-home smsmail \
    && install -d -o smsmail -m 700 /srv/state

USER smsmail
EXPOSE 8000
# Two processes, each with WEB_THREADS threads: pages wait for the database, not for the processor.
CMD ["granian", "--interface", "asginl", "--http", "1", "--no-ws", "--host", "0.0.0.0", "--port", "8000", \
     "--workers", "2", "smsmail.asgi:application"]
