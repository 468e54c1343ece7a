#!/bin/sh
# Starts the Sentinel $1 of docker-compose.sentinel.yml. Its file keeps what it knows of earlier failovers.
set -eu
password=$(cat /run/secrets/redis_sentinel)
hash=$(printf %s "$password" | sha256sum | cut -d' ' -f1)
umask 077
if [ ! -f /data/sentinel.conf ]; then
  cat >/data/sentinel.conf <<END
dir /data
protected-mode no
sentinel resolve-hostnames yes
sentinel announce-hostnames yes
sentinel announce-ip $1
sentinel monitor mill redis 6379 2
sentinel down-after-milliseconds mill 5000
sentinel failover-timeout mill 30000
END
fi
# The passwords are those that the secrets have now. The server's users may ask where the primary is, and nothing else;
# Celery's result backend asks for all of them.
sed -i -E '/^(user|port|tls-[a-z-]+|sentinel (auth-user|auth-pass|sentinel-user|sentinel-pass)) /d' /data/sentinel.conf
may_ask='+ping +sentinel|get-master-addr-by-name +sentinel|master +sentinel|masters +sentinel|slaves +sentinel|replicas'
sed -nE "s/^user ([a-z_]+) on (#[0-9a-f]+) .*/user \\1 on \\2 resetchannels $may_ask/p" \
  /run/secrets/redis.acl >>/data/sentinel.conf
# With a certificate among the secrets, all speak TLS only.
if [ -f /run/secrets/server.crt ]; then
  cat >>/data/sentinel.conf <<END
port 0
tls-port 26379
tls-cert-file /run/secrets/server.crt
tls-key-file /run/secrets/server.key
tls-ca-cert-file /run/secrets/ca.pem
tls-auth-clients no
tls-replication yes
END
else
  echo 'port 26379' >>/data/sentinel.conf
fi
cat >>/data/sentinel.conf <<END
user default off
user sentinel on #$hash allchannels +@all
sentinel sentinel-user sentinel
sentinel sentinel-pass $password
sentinel auth-user mill sentinel
sentinel auth-pass mill $password
END
exec redis-server /data/sentinel.conf --sentinel
