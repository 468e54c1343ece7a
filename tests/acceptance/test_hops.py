"""The way of one item over the server, as docs/internals.md tells it hop by hop."""

from itertools import groupby

from redis import Redis

from gristmill.server.scripts import source

SCRIPTS = {source(f"batches/{script}").sha: script for script in ("append", "take", "record")}


def calls(client, monitor, batch):
    """The calls of SCRIPTS that name the batch, with their arguments, up to now."""
    client.echo(f"end of {batch}")
    while (command := monitor.next_command()["command"]) != f"ECHO end of {batch}":
        words = command.split(" ")
        if words[0] == "EVALSHA" and words[1] in SCRIPTS and batch in words:
            yield SCRIPTS[words[1]], words


def test_an_item_is_stored_taken_and_recorded_in_one_call_each(fleet, name):
    with Redis.from_url(fleet.server().url, decode_responses=True) as client, client.monitor() as monitor:
        fleet.run("run", "fibonacci", "30", "--name", name, "--quiet").good()
        # A server that does not have a script yet is asked twice.
        seen = [
            (script, [*words][-1][1]) for script, words in groupby(calls(client, monitor, name), lambda one: one[0])
        ]
    assert [script for script, _ in seen] == ["append", "take", "record"]
    arguments = dict(seen)
    assert "30" in arguments["append"], "the line of JSON that the command has checked"
    assert "832040" in arguments["record"], "the line of JSON that the task's value is"
