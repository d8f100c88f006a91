# The web process of compose.yaml. Holds the code and what it runs on; no key, no data, no settings.
FROM python:3.12-slim

# VAR_DIR is outside the code: static files, made below, and what web processes measure while they serve.
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 VAR_DIR=/srv/var
WORKDIR /registry

COPY requirements.txt .
RUN pip install --no-cache-dir --disable-pip-version-check --only-binary=:all: -r requirements.txt

# Named one by one, so that var/ (data and keys of a trial run) can never end up in an image.
COPY manage.py .
COPY dncregistry dncregistry
COPY record record
COPY telemarketers telemarketers
COPY consents consents
COPY complaints complaints
COPY desk desk

# Key and token are used for nothing: without them the settings would make both, and leave them in the image.
RUN SECRET_KEY=only-to-collect-static-files METRICS_TOKEN=unused python manage.py collectstatic --no-input

# The static files stay root's, for everybody to read; beside them the service may write.
RUN useradd --system --uid 10001 registry && chown registry /srv/var
USER registry

EXPOSE 8000
CMD ["python", "manage.py", "serve"]
