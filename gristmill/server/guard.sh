#!/bin/sh
# guard.sh COMMAND [ARGUMENT...]
#
# Runs COMMAND for as long as anybody holds the other end of standard input, a pipe: its owner never writes to
# it, and the kernel closes it at the owner's death, whatever that was. Then COMMAND gets TERM, and KILL when it
# still runs after the grace. When it ends by itself, its status is the guard's and nothing is left running.
#
# Standard output is handed to COMMAND alone, as descriptor 4: a lock that is free when COMMAND has ended.
# COMMAND's own output goes to standard error. The guard has to lead a process group of its own.

GRACE=100 # tenths of a second

exec 3<&0 4>&1 1>&2
"$@" </dev/null 3<&- &
command=$!
exec 4>&-

# From here on TERM is for COMMAND, and USR1 for the watcher and its sleep: both go to the whole group. The group's
# number cannot pass to strangers while the watcher is in it; COMMAND's could, once it has ended and the guard was
# killed.
trap '' TERM USR1

# A zombie has ended too; where process 1 is a program like any other, as in a container, it stays one.
running() {
    kill -0 "$command" 2>/dev/null && ! grep -q '^State:.*Z' "/proc/$command/status" 2>/dev/null
}

watch() {
    trap - USR1
    while read -r _; do :; done
    kill -TERM "-$$"
    while [ "$GRACE" -gt 0 ]; do
        running || return
        sleep 0.1
        GRACE=$((GRACE - 1))
    done
    kill -KILL "-$$"
}
watch <&3 &
watcher=$!
exec 3<&-

wait "$command"
status=$?
kill -USR1 "-$$"
kill -KILL "$watcher" 2>/dev/null # Ended before it could take USR1.
wait "$watcher" 2>/dev/null
exit "$status"
