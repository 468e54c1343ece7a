#!/bin/sh
# Starts the server $1 of docker-compose.sentinel.yml: as a replica of the primary that the Sentinels name, or as the
# first primary.
set -eu
password=$(cat /run/secrets/redis_sentinel)
hash=$(printf %s "$password" | sha256sum | cut -d' ' -f1)
umask 077
users=$(mktemp)
# Clients ask for the role and wait for replicas. Replicas and Sentinels have users of their own.
sed -E 's/^(user (producer|worker|dashboard|viewer|program_producer|program_worker) on )/\1+role +wait +waitaof /' /run/secrets/redis.acl >"$users"
echo "user replica on #$hash +psync +replconf +ping" >>"$users"
echo "user sentinel on #$hash allchannels +multi +exec +slaveof +ping +info +role +publish +subscribe" \
  "+config|rewrite +client|setname +client|kill +script|kill" >>"$users"

# With a certificate among the secrets, all speak TLS only.
tls='' client_tls=''
if [ -f /run/secrets/server.crt ]; then
  tls='--port 0 --tls-port 6379 --tls-cert-file /run/secrets/server.crt --tls-key-file /run/secrets/server.key
    --tls-ca-cert-file /run/secrets/ca.pem --tls-auth-clients no --tls-replication yes'
  client_tls='--tls --cacert /run/secrets/ca.pem'
fi

# A Sentinel that refuses the password answers with a sentence.
primary() {
  for number in 1 2 3; do
    # shellcheck disable=SC2086
    REDISCLI_AUTH=$password redis-cli $client_tls --user sentinel -h "sentinel-$number" -p 26379 \
      sentinel get-master-addr-by-name mill 2>/dev/null |
      head -n 1 | grep -Ex '[A-Za-z0-9.:_-]+' && return
  done
  # No Sentinel runs yet.
  echo redis
}

leader=$(primary)
if [ "$leader" = "$1" ] && [ ! -d /data/appendonlydir ]; then
  # This server was the primary and has lost its data: its replicas would delete theirs. Wait for a failover.
  sleep 15
  leader=$(primary)
fi
name=$1
set -- --aclfile "$users" --masteruser replica --masterauth "$password" --replica-announce-ip "$name" \
  --dir /data --appendonly yes --appendfsync always --save "" --maxmemory "$MEMORY" --maxmemory-policy noeviction \
  --hash-max-listpack-entries 512 --hash-max-listpack-value 1024
[ "$leader" = "$name" ] || set -- "$@" --replicaof "$leader" 6379
# shellcheck disable=SC2086
exec redis-server "$@" $tls
