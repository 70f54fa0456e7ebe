# With PRIMARY, the name of a server, it is a standby of that one.
set -e
if [ ! -s "$PGDATA/PG_VERSION" ] && [ -n "$PRIMARY" ]; then
  chmod 700 "$PGDATA"
  PGPASSWORD=$POSTGRES_PASSWORD pg_basebackup -D "$PGDATA" -R -X stream -c fast \
    -d "host=$PRIMARY user=$POSTGRES_USER application_name=standby password=$POSTGRES_PASSWORD"
elif [ ! -s "$PGDATA/PG_VERSION" ]; then
  printf %s "$POSTGRES_PASSWORD" > /tmp/password
  initdb -U "$POSTGRES_USER" --pwfile=/tmp/password --auth=scram-sha-256 --encoding=UTF8 --locale=C >/dev/null
  rm /tmp/password
  echo "host all,replication all all scram-sha-256" >> "$PGDATA/pg_hba.conf"
  echo "CREATE DATABASE \"$POSTGRES_DB\"" | postgres --single -D "$PGDATA" -j postgres >/dev/null
fi
exec postgres -c listen_addresses='*' -c unix_socket_directories=/tmp -c max_connections=300
