#!/bin/sh
# Starts the Sentinel $1 of docker-compose.sentinel.yml. Its file keeps what it knows of earlier failovers.
set -eu
password=$(cat /run/secrets/redis_worker)
umask 077
if [ ! -f /data/sentinel.conf ]; then
  cat >/data/sentinel.conf <<END
port 26379
dir /data
protected-mode no
sentinel resolve-hostnames yes
sentinel announce-hostnames yes
sentinel announce-ip $1
sentinel monitor mill redis 6379 2
sentinel auth-user mill sentinel
sentinel auth-pass mill $password
sentinel down-after-milliseconds mill 5000
sentinel failover-timeout mill 30000
END
fi
exec redis-server /data/sentinel.conf --sentinel
