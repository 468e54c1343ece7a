# One image for workers, dashboard and producer. Its layers, from what changes least to what changes most:
# Python, our dependencies (locked, with hashes) and those of your own tasks, and last the code.
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
# tini passes signals on and buries the orphans of tasks that start processes.
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends tini >/dev/null && rm -rf /var/lib/apt/lists/*
# The official image has no compiled library, and ours could not write one: each start would compile it anew.
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
# Modules with your own tasks are found here.
WORKDIR /tasks
# A worker drains at TERM: running items finish, what has not begun is handed back.
STOPSIGNAL SIGTERM
# A worker's; docker-compose.yml gives the dashboard its own, and the producer none.
HEALTHCHECK --interval=30s --timeout=20s --start-period=30s --retries=3 CMD ["python", "-m", "gristmill.worker.health"]
ENTRYPOINT ["tini", "--", "gristmill"]
CMD ["--help"]
COPY --from=code /code /code
