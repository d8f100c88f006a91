# The web process of compose.yaml. Holds the code and what it runs on; no key, no data, no settings.
FROM python:3.12-slim

ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
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

# The key is used for nothing: static files need settings, and settings need one.
RUN SECRET_KEY=only-to-collect-static-files python manage.py collectstatic --no-input

RUN useradd --system --uid 10001 registry
USER registry

EXPOSE 8000
CMD ["python", "manage.py", "serve"]
