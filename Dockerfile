# One image for workers, dashboard and producer. The layer that changes most often comes last: Python, the locked
# dependencies, the packages that your own tasks need, the code.
FROM python:3.13-slim AS dependencies
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore PIP_CACHE_DIR=/cache/pip
RUN python -m venv --without-pip /opt/gristmill
COPY requirements.lock /build/
RUN --mount=type=cache,target=/cache/pip \
    pip --python /opt/gristmill install -q --require-hashes --only-binary :all: -r /build/requirements.lock
COPY requirements-tasks.txt /build/
RUN --mount=type=cache,target=/cache/pip \
    pip --python /opt/gristmill install -q -c /build/requirements.lock -r /build/requirements-tasks.txt

FROM dependencies AS code
COPY . /build/
RUN pip --python /opt/gristmill install -q --no-deps --no-build-isolation --target /code /build

FROM python:3.13-slim
# tini forwards signals, and reaps the orphans of tasks that start processes.
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends tini >/dev/null && rm -rf /var/lib/apt/lists/*
# The official image has no compiled standard library, and a read-only container cannot keep one: without this line,
# each start would compile the library again.
RUN python -m compileall -q -x '/(test|idlelib|tkinter|turtledemo|ensurepip|site-packages)/' /usr/local/lib/python3.13
RUN useradd --uid 1000 --no-create-home gristmill \
 && install -d /tasks && install -d -m 1777 /data /state
COPY --from=dependencies /opt/gristmill /opt/gristmill
ENV PATH=/code/bin:/opt/gristmill/bin:$PATH \
    PYTHONPATH=/code \
    PYTHONSAFEPATH=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/tmp \
    GRISTMILL_HOME=/state \
    GRISTMILL_DATA_ROOT=/data
USER gristmill
# Python finds the modules with your own tasks here.
WORKDIR /tasks
# At TERM a worker drains: running items finish, and the worker returns the other messages to the queue.
STOPSIGNAL SIGTERM
# The check of a worker. docker-compose.yml gives the dashboard another one, and the producer none.
HEALTHCHECK --interval=30s --timeout=20s --start-period=30s --retries=3 CMD ["python", "-m", "gristmill.worker.health"]
ENTRYPOINT ["tini", "--", "gristmill"]
CMD ["--help"]
COPY --from=code /code /code
